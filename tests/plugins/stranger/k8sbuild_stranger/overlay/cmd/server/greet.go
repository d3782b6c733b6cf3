package main

import (
	"fmt"

	"k8s.io/component-base/version"
)

var _ = register("greet", greet)

func greet([]string) error {
	_, err := fmt.Println("stranger of", version.Get().GitVersion)
	return err
}
