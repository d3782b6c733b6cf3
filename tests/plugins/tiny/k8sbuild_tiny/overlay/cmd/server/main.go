// Command server is the tiny distribution: the API server and a few commands.
package main

import (
	"fmt"
	"io"
	"net"
	"os"

	"example.org/store"
	"k8s.io/component-base/version"
	"k8s.io/kubernetes/cmd/kube-apiserver/app"
)

type command func(args []string) error

var commands = map[string]command{
	"providers": providers,
	"selftest":  selftest,
	"serve":     serve,
	"store":     put,
	"version":   show,
}

// register adds a command; files of other plugins call it.
func register(name string, run command) struct{} {
	commands[name] = run
	return struct{}{}
}

func main() {
	if len(os.Args) < 2 || commands[os.Args[1]] == nil {
		fmt.Fprintln(os.Stderr, "tiny: no such command")
		os.Exit(2)
	}
	if err := commands[os.Args[1]](os.Args[2:]); err != nil {
		fmt.Fprintln(os.Stderr, "tiny:", err)
		os.Exit(1)
	}
}

func serve(args []string) error {
	return app.Run(args, os.Stdout)
}

func show([]string) error {
	v := version.Get()
	_, err := fmt.Println(v.GitVersion, v.GitCommit, v.GitTreeState, v.BuildDate, v.Major, v.Minor)
	return err
}

func providers([]string) error {
	_, err := fmt.Println(app.Providers(), app.Default())
	return err
}

func put([]string) error {
	values := store.Store{}
	values.Put("Namespace", "default", "here")
	_, err := fmt.Println(values)
	return err
}

// selftest serves on a free port and asks itself whether it is ready.
func selftest([]string) error {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return fmt.Errorf("listen: %w", err)
	}
	defer listener.Close()
	go app.Serve(listener)
	conn, err := net.Dial("tcp", listener.Addr().String())
	if err != nil {
		return fmt.Errorf("connect: %w", err)
	}
	defer conn.Close()
	if _, err := io.WriteString(conn, "GET /readyz HTTP/1.0\r\n\r\n"); err != nil {
		return fmt.Errorf("ask: %w", err)
	}
	answer, err := io.ReadAll(conn)
	if err != nil {
		return fmt.Errorf("read: %w", err)
	}
	_, err = fmt.Println(string(answer))
	return err
}
