// Command apps is every small application of the lab in one static binary that starts within milliseconds.
//
//	apps numbers-api   GET /rng answers a random number
//	apps numbers-web   a page whose button fetches a number from http://numbers-api
//	apps sleep         waits to be told to stop
//	apps netexec       tells who it is and who asks, over HTTP, TCP and UDP
//
// Without an argument the environment variable APPLICATION chooses; that is how the images are told apart.
package main

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"os"
	"os/signal"
	"syscall"
	"time"
)

// application runs until the context ends.
type application func(ctx context.Context, arguments []string) error

var applications = map[string]application{
	"numbers-api": numbersAPI,
	"numbers-web": numbersWeb,
	"netexec":     netexec,
	"sleep":       sleep,
}

func main() {
	name, arguments := os.Getenv("APPLICATION"), os.Args[1:]
	if len(arguments) > 0 && applications[arguments[0]] != nil {
		name, arguments = arguments[0], arguments[1:]
	}
	run, known := applications[name]
	if !known {
		fmt.Fprintf(os.Stderr, "apps: no application %q; there are netexec, numbers-api, numbers-web, sleep\n", name)
		os.Exit(2)
	}
	// As process 1 of a container nothing ends on a signal by itself.
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM, syscall.SIGINT)
	defer stop()
	if err := run(ctx, arguments); err != nil {
		fmt.Fprintf(os.Stderr, "%s: %v\n", name, err)
		os.Exit(1)
	}
}

// sleep does nothing until it is told to stop.
func sleep(ctx context.Context, _ []string) error {
	<-ctx.Done()
	return nil
}

// serve answers HTTP on an address until the context ends, then lets requests finish for a moment.
func serve(ctx context.Context, address string, handler http.Handler) error {
	server := &http.Server{Addr: address, Handler: handler, ReadHeaderTimeout: 10 * time.Second}
	failed := make(chan error, 1)
	go func() { failed <- server.ListenAndServe() }()
	fmt.Printf("listening on %s\n", address)
	select {
	case err := <-failed:
		return err
	case <-ctx.Done():
	}
	grace, cancel := context.WithTimeout(context.Background(), 500*time.Millisecond)
	defer cancel()
	if err := server.Shutdown(grace); err != nil && !errors.Is(err, context.DeadlineExceeded) {
		return err
	}
	return nil
}
