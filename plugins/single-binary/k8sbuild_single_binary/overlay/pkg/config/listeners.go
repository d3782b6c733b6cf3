package config

import (
	"net"
	"strconv"
	"strings"
)

// Listener is a port that a component listens on. Those of Services, and of
// what runs in pods, are not among them.
type Listener struct {
	Component string
	Address   string
	Port      int
	// Flag sets the port.
	Flag string
	// Asks says whom the port answers; a port that asks nobody is on loopback.
	Asks string
}

// HostPort is what is listened on.
func (l Listener) HostPort() string { return net.JoinHostPort(l.Address, strconv.Itoa(l.Port)) }

// Open says that the port asks nobody who it is.
func (l Listener) Open() bool { return l.Asks == asksNobody }

const (
	asksAll    = "a client certificate or a token"
	asksNobody = "nobody"
)

// Listeners are all ports of the server, in the order in which they open.
func (c *Config) Listeners() []Listener {
	loopback := "127.0.0.1"
	list := []Listener{
		{"kube-apiserver", c.BindAddress, c.HTTPSListenPort, "--https-listen-port", asksAll},
		{"kube-controller-manager", loopback, c.ControllerManagerPort, "--controller-manager-port", asksAll},
		{"kube-scheduler", loopback, c.SchedulerPort, "--scheduler-port", asksAll},
	}
	if c.DisableAgent {
		return list
	}
	return append(list,
		Listener{"kubelet", c.extra("kubelet", "address", "0.0.0.0"), c.extraPort("kubelet", "port", 10250), "--kubelet-arg=port", asksAll},
		Listener{"kubelet", loopback, c.extraPort("kubelet", "healthz-port", 10248), "--kubelet-arg=healthz-port", asksNobody},
		Listener{"kube-proxy", loopback, 10249, "--kube-proxy-arg=metrics-bind-address", asksNobody},
		Listener{"kube-proxy", loopback, 10256, "--kube-proxy-arg=healthz-bind-address", asksNobody},
	)
}

// Has says whether the user gives an argument to a component.
func (c *Config) Has(component, name string) bool { return c.extra(component, name, "") != "" }

// extra is the value of a user's argument for a component; the last one wins.
func (c *Config) extra(component, name, otherwise string) string {
	for _, arg := range c.Extra(component) {
		if value, is := strings.CutPrefix(arg, "--"+name+"="); is {
			otherwise = value
		}
	}
	return otherwise
}

func (c *Config) extraPort(component, name string, otherwise int) int {
	port, err := strconv.Atoi(c.extra(component, name, ""))
	if err != nil {
		return otherwise
	}
	return port
}
