package main

import (
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"html/template"
	"io"
	"math/rand"
	"net/http"
	"os"
	"strings"
	"time"
)

// The path under which the chapter's ExternalName target offers a number: a file in the book's repository.
const externalPath = "/sixeyed/kiamol/master/ch03/numbers/rng"

// numbersAPI answers GET /rng with a random number from 0 to 99, as JSON text that is a bare number.
func numbersAPI(ctx context.Context, arguments []string) error {
	flags := flag.NewFlagSet("numbers-api", flag.ContinueOnError)
	port := flags.Int("port", 80, "port to listen on")
	if err := flags.Parse(arguments); err != nil {
		return err
	}
	number := func(w http.ResponseWriter, r *http.Request) {
		drawn := rand.Intn(100)
		fmt.Printf("%s asked for a number: %d\n", r.RemoteAddr, drawn)
		w.Header().Set("Content-Type", "application/json; charset=utf-8")
		fmt.Fprint(w, drawn)
	}
	mux := http.NewServeMux()
	mux.HandleFunc("/rng", number)
	mux.HandleFunc(externalPath, number)
	mux.HandleFunc("/healthz", healthy)
	return serve(ctx, fmt.Sprintf(":%d", *port), mux)
}

func healthy(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, "ok") }

var page = template.Must(template.New("page").Parse(`<!DOCTYPE html>
<html lang="en">
<head><meta charset="utf-8"><title>Random numbers</title>
<style>body{font-family:sans-serif;text-align:center;margin-top:4rem}button{font-size:1.5rem;padding:.5rem 1.5rem}</style>
</head>
<body>
<h1>Random number generator</h1>
<form method="post" action="/"><button type="submit">Go</button></form>
{{if .Number}}<p>Here it is: <strong>{{.Number}}</strong></p>{{end}}
{{if .Failure}}<p><em>{{.Failure}}</em></p>{{end}}
{{if .URL}}<p><small>(Using API at: {{.URL}})</small></p>{{end}}
</body>
</html>
`))

// drawing is what the page shows: a number, or why there is none.
type drawing struct{ Number, Failure, URL string }

// numbersWeb serves the page; its button makes the server ask the API, so the name is resolved inside the pod.
func numbersWeb(ctx context.Context, arguments []string) error {
	flags := flag.NewFlagSet("numbers-web", flag.ContinueOnError)
	port := flags.Int("port", 80, "port to listen on")
	if err := flags.Parse(arguments); err != nil {
		return err
	}
	url := os.Getenv("RngApi__Url")
	if url == "" {
		url = "http://numbers-api" + externalPath
	}
	mux := http.NewServeMux()
	mux.HandleFunc("/healthz", healthy)
	mux.HandleFunc("/", func(w http.ResponseWriter, r *http.Request) {
		shown := drawing{URL: url}
		if r.Method == http.MethodPost {
			shown = draw(r.Context(), url)
		}
		w.Header().Set("Content-Type", "text/html; charset=utf-8")
		if err := page.Execute(w, shown); err != nil {
			fmt.Fprintln(os.Stderr, err)
		}
	})
	return serve(ctx, fmt.Sprintf(":%d", *port), mux)
}

// One connection per number: a kept connection would hide that a Service chooses its endpoint per connection.
var client = &http.Client{Timeout: 4 * time.Second, Transport: &http.Transport{DisableKeepAlives: true}}

// draw asks the API for a number. Every failure looks alike on the page; the log says what it was.
func draw(ctx context.Context, url string) drawing {
	number, err := fetchNumber(ctx, url)
	if err != nil {
		fmt.Fprintf(os.Stderr, "no number from %s: %v\n", url, err)
		return drawing{Failure: "RNG service unavailable!", URL: url}
	}
	return drawing{Number: number, URL: url}
}

func fetchNumber(ctx context.Context, url string) (string, error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return "", err
	}
	answer, err := client.Do(request)
	if err != nil {
		return "", err
	}
	defer answer.Body.Close()
	if answer.StatusCode != http.StatusOK {
		return "", fmt.Errorf("status %s", answer.Status)
	}
	body, err := io.ReadAll(io.LimitReader(answer.Body, 64))
	if err != nil {
		return "", err
	}
	var number json.Number
	if err := json.Unmarshal([]byte(strings.TrimSpace(string(body))), &number); err != nil {
		return "", fmt.Errorf("not a number: %w", err)
	}
	return number.String(), nil
}
