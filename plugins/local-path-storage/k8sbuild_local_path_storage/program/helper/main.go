// Command local-path-helper makes and removes the folder of a volume on the node
// where its pod runs. The provisioner runs it where it would run a shell's script.
package main

import (
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"path/filepath"
)

func main() {
	if err := run(os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

// run takes the provisioner's arguments: the folder, what is to be done, and
// what a folder has no use for, the volume's size and mode.
func run(args []string) error {
	flags := flag.NewFlagSet("local-path-helper", flag.ContinueOnError)
	flags.SetOutput(io.Discard)
	path := flags.String("p", "", "the volume's folder")
	action := flags.String("a", "", "create or delete")
	for _, unused := range []string{"s", "m"} {
		flags.String(unused, "", "of the volume")
	}
	if err := flags.Parse(args); err != nil {
		return fmt.Errorf("arguments: %w", err)
	}
	if !filepath.IsAbs(*path) || filepath.Clean(*path) == "/" {
		return fmt.Errorf("%q is no folder for a volume", *path)
	}
	switch *action {
	case "create":
		return create(*path)
	case "delete":
		return os.RemoveAll(*path)
	}
	return errors.New("-a must be create or delete")
}

// create makes a folder that a pod of any user can write to.
func create(path string) error {
	if err := os.MkdirAll(path, 0o777); err != nil {
		return err
	}
	return os.Chmod(path, 0o777) // whatever the umask is
}
