package config

import (
	"fmt"
	"slices"
	"strings"
)

// NoNetwork leaves the pods' network to the user.
const NoNetwork = "none"

// Networks are the names of the networks that are built into this binary; each
// is added when its component is registered, before any flag is read.
var Networks []string

// defaultNetwork is the one that there is; of several, the user chooses. Who
// brings a container runtime has its network configured.
func (c *Config) defaultNetwork() string {
	switch {
	case len(Networks) == 0 || c.ContainerRuntimeEndpoint != "":
		return NoNetwork
	case len(Networks) == 1:
		return Networks[0]
	}
	return ""
}

func (c *Config) checkNetwork() error {
	switch {
	case c.Network == "":
		return fmt.Errorf("--network: several are built into this binary, choose %s", networkNames())
	case c.Network != NoNetwork && !slices.Contains(Networks, c.Network):
		return fmt.Errorf("--network=%s: not built into this binary, there is %s", c.Network, networkNames())
	}
	return nil
}

func networkNames() string {
	return strings.Join(append(append([]string{}, Networks...), NoNetwork), " or ")
}
