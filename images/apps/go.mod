module labctl.example/apps

go 1.21
