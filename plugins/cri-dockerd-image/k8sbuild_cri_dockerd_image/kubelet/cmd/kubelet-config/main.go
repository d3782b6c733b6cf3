// Kubelet-config looks at files with the kubelet's own types: it merges configurations and checks static pods.
//
//	kubelet-config merge [-exposed] BASE [FILE]    prints BASE with FILE over it
//	kubelet-config pod FILE                        prints the images of a static pod
package main

import (
	"flag"
	"fmt"
	"io"
	"os"

	"k8sbuild.dev/kubelet/pkg/kubeletconfig"
)

func main() {
	if err := run(os.Args[1:], os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func run(args []string, out io.Writer) error {
	if len(args) == 0 {
		return fmt.Errorf("usage: kubelet-config merge|pod FILE…")
	}
	switch args[0] {
	case "merge":
		return merge(args[1:], out)
	case "pod":
		return pod(args[1:], out)
	default:
		return fmt.Errorf("unknown command %q", args[0])
	}
}

func merge(args []string, out io.Writer) error {
	flags := flag.NewFlagSet("merge", flag.ContinueOnError)
	exposed := flags.Bool("exposed", false, "others may reach the kubelet: they must have a client certificate")
	if err := flags.Parse(args); err != nil {
		return err
	}
	files, err := read(flags.Args())
	if err != nil {
		return err
	}
	if len(files) == 0 || len(files) > 2 {
		return fmt.Errorf("merge: want BASE and perhaps FILE, got %d files", len(files))
	}
	text, err := kubeletconfig.Merge(files, *exposed)
	if err != nil {
		return err
	}
	_, err = out.Write(text)
	return err
}

func pod(args []string, out io.Writer) error {
	files, err := read(args)
	if err != nil {
		return err
	}
	if len(files) != 1 {
		return fmt.Errorf("pod: want one FILE, got %d", len(files))
	}
	images, err := kubeletconfig.PodImages(files[0])
	for _, image := range images {
		fmt.Fprintln(out, image)
	}
	return err
}

func read(names []string) ([]kubeletconfig.File, error) {
	var files []kubeletconfig.File
	for _, name := range names {
		data, err := os.ReadFile(name)
		if err != nil {
			return nil, fmt.Errorf("reading: %w", err)
		}
		files = append(files, kubeletconfig.File{Name: name, Data: data})
	}
	return files, nil
}
