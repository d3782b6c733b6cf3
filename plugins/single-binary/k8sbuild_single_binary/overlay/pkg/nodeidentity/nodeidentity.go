// Package nodeidentity decides which certificates a node gets.
//
// A client certificate makes its holder the node, so that only the node itself
// gets one: with the certificate that it has, or with a credential that a
// server made for just this node. A serving certificate is believed by whoever
// trusts the cluster's server CA, the API server's clients too, so that each
// name in it must be the node's and nobody else's.
//
// It imports no Kubernetes package.
package nodeidentity

import (
	"crypto/x509"
	"fmt"
	"net/netip"
	"slices"
	"strings"
)

// Signers of certificates for nodes.
const (
	ClientSigner  = "kubernetes.io/kube-apiserver-client-kubelet"
	ServingSigner = "kubernetes.io/kubelet-serving"
)

// BootstrapGroup is the group of all credentials made by BootstrapUser's name.
const BootstrapGroup = "system:bootstrappers:k8s:node"

const (
	nodeUser      = "system:node:"
	nodesGroup    = "system:nodes"
	bootstrapUser = "system:bootstrap:k8s:node:"
)

// BootstrapUser is the user of a credential that is for one node's first certificate.
func BootstrapUser(node string) string { return bootstrapUser + node }

// NodeUser is the user that a node is.
func NodeUser(node string) string { return nodeUser + node }

// Request asks for a certificate.
type Request struct {
	Signer string
	// User and Groups are who asks, as the API server knows them.
	User   string
	Groups []string
	Usages []string
	CSR    *x509.CertificateRequest
}

// Node is what is known of a node of the cluster. It writes its names and
// addresses itself.
type Node struct {
	Name      string
	Names     []string
	Addresses []netip.Addr
}

// Cluster is whose names and addresses are not a node's to take.
type Cluster struct {
	// Domain is the domain of services.
	Domain string
	// Services are the address ranges of services.
	Services []netip.Prefix
	// APIServer are the names and addresses under which clients know the API server.
	APIServer []string
	// Own is the node of this machine, if there is one, and OwnAddresses are
	// those that its administrator gave it.
	Own          string
	OwnAddresses []netip.Addr
}

// Answer says what becomes of a request.
type Answer int

// The answers. Later means that the node's own object may still say more.
const (
	Yes Answer = iota
	No
	Later
)

// Verdict is an answer and its reason.
type Verdict struct {
	Answer Answer
	Reason string
}

func no(format string, args ...any) Verdict    { return Verdict{No, fmt.Sprintf(format, args...)} }
func later(format string, args ...any) Verdict { return Verdict{Later, fmt.Sprintf(format, args...)} }

// Decide judges a request of one of the two signers, given all nodes.
func (c Cluster) Decide(r Request, nodes []Node) Verdict {
	name, isNode := strings.CutPrefix(r.CSR.Subject.CommonName, nodeUser)
	switch {
	case !isNode || name == "" || !slices.Equal(r.CSR.Subject.Organization, []string{nodesGroup}):
		return no("the subject is no node's")
	case len(r.CSR.EmailAddresses) > 0 || len(r.CSR.URIs) > 0:
		return no("a node has no e-mail address and no URI")
	case c.isService(name):
		return no("a node cannot have the name %s", name)
	}
	switch r.Signer {
	case ClientSigner:
		return client(r, name)
	case ServingSigner:
		return c.serving(r, name, nodes)
	}
	return no("the signer %s is not for nodes", r.Signer)
}

func client(r Request, name string) Verdict {
	switch {
	case len(r.CSR.DNSNames) > 0 || len(r.CSR.IPAddresses) > 0:
		return no("a client has no names and no addresses")
	case !usages(r.Usages, "client auth"):
		return no("the usages are not a client's: %s", strings.Join(r.Usages, ", "))
	case !is(r, NodeUser(name), nodesGroup) && !is(r, BootstrapUser(name), BootstrapGroup):
		return no("%s is not the node %s and has no credential of it", r.User, name)
	}
	return Verdict{Yes, "the node's own credential"}
}

func is(r Request, user, group string) bool {
	return r.User == user && slices.Contains(r.Groups, group)
}

// usages says whether these are the ones for the purpose, with or without what
// RSA keys need.
func usages(got []string, purpose string) bool {
	sorted := slices.Sorted(slices.Values(got))
	return slices.Equal(sorted, slices.Sorted(slices.Values([]string{purpose, "digital signature"}))) ||
		slices.Equal(sorted, slices.Sorted(slices.Values([]string{purpose, "digital signature", "key encipherment"})))
}

func (c Cluster) serving(r Request, name string, nodes []Node) Verdict {
	switch {
	case !is(r, NodeUser(name), nodesGroup):
		return no("%s is not the node %s", r.User, name)
	case !usages(r.Usages, "server auth"):
		return no("the usages are not a server's: %s", strings.Join(r.Usages, ", "))
	case len(r.CSR.DNSNames)+len(r.CSR.IPAddresses) == 0:
		return no("there is no name and no address")
	}
	at := slices.IndexFunc(nodes, func(n Node) bool { return n.Name == name })
	if at < 0 {
		return later("there is no node %s", name)
	}
	others := slices.Concat(nodes[:at:at], nodes[at+1:])
	for _, dns := range r.CSR.DNSNames {
		if v := c.dnsName(dns, nodes[at], others); v.Answer != Yes {
			return v
		}
	}
	for _, raw := range r.CSR.IPAddresses {
		ip, _ := netip.AddrFromSlice(raw)
		if v := c.address(ip.Unmap(), nodes[at], others); v.Answer != Yes {
			return v
		}
	}
	return Verdict{Yes, "the node's own names and addresses"}
}

func (c Cluster) dnsName(dns string, node Node, others []Node) Verdict {
	folded := strings.ToLower(dns)
	taken := func(n Node) bool {
		return strings.EqualFold(n.Name, dns) || slices.ContainsFunc(n.Names, func(o string) bool { return strings.EqualFold(o, dns) })
	}
	switch {
	case c.isService(folded):
		return no("%s is a name of the cluster", dns)
	case folded == node.Name:
		return Verdict{}
	case slices.ContainsFunc(c.APIServer, func(n string) bool { return strings.EqualFold(n, dns) }):
		return no("%s is a name of the API server", dns)
	case slices.ContainsFunc(others, taken):
		return no("%s is another node's name", dns)
	case !taken(node):
		return later("%s is no name of the node %s", dns, node.Name)
	}
	return Verdict{}
}

// isService says whether a name is the cluster's own: of a service, or one that
// means another machine to each who asks.
func (c Cluster) isService(name string) bool {
	domain := "." + strings.ToLower(c.Domain)
	return name == "localhost" || name == "kubernetes" || name == "kubernetes.default" ||
		strings.HasSuffix(name, ".svc") || strings.HasSuffix(name, domain) || "."+name == domain ||
		strings.ContainsAny(name, "*")
}

func (c Cluster) address(ip netip.Addr, node Node, others []Node) Verdict {
	own := node.Name == c.Own && slices.Contains(c.OwnAddresses, ip)
	switch {
	case !ip.IsGlobalUnicast() || slices.ContainsFunc(c.Services, func(p netip.Prefix) bool { return p.Contains(ip) }):
		return no("%s is no machine's address", ip)
	case own:
		return Verdict{}
	case slices.ContainsFunc(others, func(n Node) bool { return slices.Contains(n.Addresses, ip) }):
		return no("%s is another node's address", ip)
	// Another server knows its own node, and may say yes.
	case slices.Contains(c.OwnAddresses, ip) || slices.Contains(c.APIServer, ip.String()):
		return later("%s is an address of the API server", ip)
	case !slices.Contains(node.Addresses, ip):
		return later("%s is no address of the node %s", ip, node.Name)
	}
	return Verdict{}
}
