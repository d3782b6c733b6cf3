// Hello-world answers HTTP on a port, to show that a pod runs.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"log"
	"net"
	"net/http"
	"os"
	"os/signal"
	"syscall"
	"time"
)

func main() {
	address := flag.String("address", ":8080", "where to listen")
	text := flag.String("text", "hello, world", "what to answer")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
	defer stop()
	if err := run(ctx, *address, *text); err != nil {
		log.Fatal(err)
	}
}

func run(ctx context.Context, address, text string) error {
	listener, err := net.Listen("tcp", address)
	if err != nil {
		return fmt.Errorf("listening: %w", err)
	}
	log.Printf("listening on %s", listener.Addr())
	return serve(ctx, listener, text)
}

// serve answers until the context ends, and then what has been asked.
func serve(ctx context.Context, listener net.Listener, text string) error {
	server := &http.Server{Handler: handler(text), ReadHeaderTimeout: 10 * time.Second}
	failed := make(chan error, 1)
	go func() { failed <- server.Serve(listener) }()
	select {
	case err := <-failed:
		return fmt.Errorf("serving: %w", err)
	case <-ctx.Done():
	}
	within, stop := context.WithTimeout(context.WithoutCancel(ctx), 5*time.Second)
	defer stop()
	err := server.Shutdown(within)
	if served := <-failed; !errors.Is(served, http.ErrServerClosed) {
		err = errors.Join(err, served)
	}
	return err
}

func handler(text string) http.Handler {
	name, err := os.Hostname()
	if err != nil {
		name = "a pod"
	}
	return http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		fmt.Fprintf(w, "%s from %s\n", text, name)
	})
}
