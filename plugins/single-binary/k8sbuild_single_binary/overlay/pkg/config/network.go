package config

import (
	"fmt"
	"slices"
	"strings"
)

// NoNetwork leaves the pods' network to the user.
const NoNetwork = "none"

// defaultNetwork is the one that there is; of several, the user chooses. Who
// brings a container runtime has its network configured.
func (c *Config) defaultNetwork() string {
	switch {
	case len(c.Networks) == 0 || c.ContainerRuntimeEndpoint != "":
		return NoNetwork
	case len(c.Networks) == 1:
		return c.Networks[0]
	}
	return ""
}

func (c *Config) checkNetwork() error {
	switch {
	case c.Network == "" && c.DisableAgent:
		return nil
	case c.Network == "":
		return fmt.Errorf("--network: several are built into this binary, choose %s", c.networkNames())
	case c.Network != NoNetwork && !slices.Contains(c.Networks, c.Network):
		return fmt.Errorf("--network=%s: not built into this binary, there is %s", c.Network, c.networkNames())
	}
	return nil
}

func (c *Config) networkNames() string {
	return strings.Join(append(slices.Clone(c.Networks), NoNetwork), " or ")
}
