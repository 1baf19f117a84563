"""Why does it not work? Diagnoses of Services, Pods and URLs. See README.md in this folder."""
