package main

import (
	"bufio"
	"context"
	"errors"
	"flag"
	"fmt"
	"net"
	"net/http"
	"os"
	"strings"
	"time"
)

// netexec answers the questions network tests ask, over HTTP (/hostname, /clientip, /echo?msg=, /healthz) and as one
// line over TCP and UDP (hostname, clientip, echo TEXT).
func netexec(ctx context.Context, arguments []string) error {
	flags := flag.NewFlagSet("netexec", flag.ContinueOnError)
	httpPort := flags.Int("http-port", 80, "port of the HTTP answers")
	udpPort := flags.Int("udp-port", 8081, "port of the UDP answers; 0 for none")
	tcpPort := flags.Int("tcp-port", 8082, "port of the line-wise TCP answers; 0 for none")
	delay := flags.Duration("delay-shutdown", 0, "keep answering that long after the signal to stop")
	if err := flags.Parse(arguments); err != nil {
		return err
	}
	serving, stop := context.WithCancel(context.Background())
	defer stop()
	failed := make(chan error, 3)
	go func() { failed <- serve(serving, fmt.Sprintf(":%d", *httpPort), answers()) }()
	if *udpPort != 0 {
		go func() { failed <- serveUDP(*udpPort) }()
	}
	if *tcpPort != 0 {
		go func() { failed <- serveTCP(*tcpPort) }()
	}
	select {
	case err := <-failed:
		return err
	case <-ctx.Done():
	}
	time.Sleep(*delay)
	stop()
	return nil
}

func hostname() string {
	name, err := os.Hostname()
	if err != nil {
		return err.Error()
	}
	return name
}

// reply answers one line that came from a peer.
func reply(line, peer string) string {
	question, rest, _ := strings.Cut(strings.TrimSpace(line), " ")
	switch question {
	case "hostname":
		return hostname()
	case "clientip":
		return peer
	case "echo":
		return rest
	}
	return "?"
}

func answers() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("/hostname", func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, hostname()) })
	mux.HandleFunc("/clientip", func(w http.ResponseWriter, r *http.Request) { fmt.Fprint(w, r.RemoteAddr) })
	mux.HandleFunc("/echo", func(w http.ResponseWriter, r *http.Request) { fmt.Fprint(w, r.FormValue("msg")) })
	mux.HandleFunc("/healthz", healthy)
	mux.HandleFunc("/", func(w http.ResponseWriter, r *http.Request) {
		fmt.Fprintf(w, "%s\n%s %s %s\nHost: %s\nfrom %s\n", hostname(), r.Method, r.URL.Path, r.Proto, r.Host, r.RemoteAddr)
	})
	return mux
}

func serveUDP(port int) error {
	socket, err := net.ListenUDP("udp", &net.UDPAddr{Port: port})
	if err != nil {
		return err
	}
	buffer := make([]byte, 2048)
	for {
		size, peer, err := socket.ReadFromUDP(buffer)
		if err != nil {
			return err
		}
		if _, err := socket.WriteToUDP([]byte(reply(string(buffer[:size]), peer.String())+"\n"), peer); err != nil {
			fmt.Fprintln(os.Stderr, err)
		}
	}
}

func serveTCP(port int) error {
	listener, err := net.Listen("tcp", fmt.Sprintf(":%d", port))
	if err != nil {
		return err
	}
	for {
		connection, err := listener.Accept()
		if errors.Is(err, net.ErrClosed) {
			return err
		}
		if err != nil {
			continue
		}
		go converse(connection)
	}
}

// converse answers line by line until the peer is done: a connection that outlives a rule change shows that here.
func converse(connection net.Conn) {
	defer connection.Close()
	lines := bufio.NewScanner(connection)
	for lines.Scan() {
		fmt.Fprintln(connection, reply(lines.Text(), connection.RemoteAddr().String()))
	}
}
