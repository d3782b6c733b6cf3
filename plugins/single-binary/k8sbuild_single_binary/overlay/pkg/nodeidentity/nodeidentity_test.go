package nodeidentity

import (
	"crypto/x509"
	"crypto/x509/pkix"
	"net"
	"net/netip"
	"net/url"
	"strings"
	"testing"
)

var cluster = Cluster{
	Domain:       "cluster.local",
	Services:     []netip.Prefix{netip.MustParsePrefix("10.43.0.0/16")},
	APIServer:    []string{"api.example", "192.0.2.1", "192.0.2.100"},
	Own:          "one",
	OwnAddresses: []netip.Addr{netip.MustParseAddr("192.0.2.1")},
}

var nodes = []Node{
	{Name: "one", Names: []string{"one"}, Addresses: addrs("192.0.2.1")},
	// What a node says of itself may be a lie.
	{Name: "two", Names: []string{"two", "Two.example", "api.example", "kubernetes.default", "x.kube-system.svc", "one"},
		Addresses: addrs("192.0.2.2", "10.43.0.1", "127.0.0.1", "192.0.2.1", "192.0.2.100")},
}

func addrs(texts ...string) (out []netip.Addr) {
	for _, text := range texts {
		out = append(out, netip.MustParseAddr(text))
	}
	return out
}

// of is the request of a node for itself; each change makes another one of it.
func of(node, signer string, sans string, changes ...func(*Request)) Request {
	r := Request{
		Signer: signer, User: NodeUser(node), Groups: []string{"system:nodes", "system:authenticated"},
		Usages: []string{"digital signature", "server auth"},
		CSR:    &x509.CertificateRequest{Subject: pkix.Name{CommonName: NodeUser(node), Organization: []string{"system:nodes"}}},
	}
	if signer == ClientSigner {
		r.Usages = []string{"key encipherment", "digital signature", "client auth"}
	}
	for _, san := range strings.Fields(sans) {
		if ip := net.ParseIP(san); ip != nil {
			r.CSR.IPAddresses = append(r.CSR.IPAddresses, ip)
		} else {
			r.CSR.DNSNames = append(r.CSR.DNSNames, san)
		}
	}
	for _, change := range changes {
		change(&r)
	}
	return r
}

func as(user, group string) func(*Request) {
	return func(r *Request) { r.User, r.Groups = user, []string{group} }
}

func wants(usages ...string) func(*Request) { return func(r *Request) { r.Usages = usages } }

func TestDecide(t *testing.T) {
	for name, tc := range map[string]struct {
		request Request
		answer  Answer
		reason  string
	}{
		"a node renews its certificate":         {of("two", ClientSigner, ""), Yes, "own credential"},
		"a node's first certificate":            {of("three", ClientSigner, "", as(BootstrapUser("three"), BootstrapGroup)), Yes, "own credential"},
		"a node that exists, by its credential": {of("one", ClientSigner, "", as(BootstrapUser("one"), BootstrapGroup)), Yes, "own credential"},
		"another node's credential":             {of("one", ClientSigner, "", as(BootstrapUser("two"), BootstrapGroup)), No, "no credential of it"},
		"another node":                          {of("one", ClientSigner, "", as(NodeUser("two"), "system:nodes")), No, "no credential of it"},
		"an administrator":                      {of("one", ClientSigner, "", as("kubernetes-admin", "system:masters")), No, "no credential of it"},
		"a user who has the node's name only":   {of("one", ClientSigner, "", as(NodeUser("one"), "system:authenticated")), No, "no credential of it"},
		"a bootstrap name without its group":    {of("one", ClientSigner, "", as(BootstrapUser("one"), "system:authenticated")), No, "no credential of it"},
		"a client with a name":                  {of("two", ClientSigner, "two"), No, "no names"},
		"a client that would serve":             {of("two", ClientSigner, "", wants("digital signature", "client auth", "server auth")), No, "usages"},
		"the API server's name for a node":      {of("kubernetes.default", ClientSigner, "", as(BootstrapUser("kubernetes.default"), BootstrapGroup)), No, "cannot have the name"},
		"a node's serving certificate":          {of("two", ServingSigner, "two 192.0.2.2"), Yes, "own names"},
		"with a name that it told":              {of("two", ServingSigner, "two.EXAMPLE"), Yes, "own names"},
		"with the usages of an RSA key":         {of("two", ServingSigner, "two", wants("server auth", "digital signature", "key encipherment")), Yes, "own names"},
		"the server's own node":                 {of("one", ServingSigner, "one 192.0.2.1"), Yes, "own names"},
		"by a user who is not the node":         {of("two", ServingSigner, "two", as("kubernetes-admin", "system:masters")), No, "is not the node two"},
		"by another node":                       {of("one", ServingSigner, "one", as(NodeUser("two"), "system:nodes")), No, "is not the node one"},
		"with the bootstrap credential":         {of("one", ServingSigner, "one", as(BootstrapUser("one"), BootstrapGroup)), No, "is not the node one"},
		"with another node's name":              {of("two", ServingSigner, "two one"), No, "another node's name"},
		"with another node's name in capitals":  {of("two", ServingSigner, "ONE"), No, "another node's name"},
		"with kubernetes.default":               {of("two", ServingSigner, "two kubernetes.default"), No, "a name of the cluster"},
		"with kubernetes.default in capitals":   {of("two", ServingSigner, "Kubernetes.Default"), No, "a name of the cluster"},
		"with kubernetes":                       {of("two", ServingSigner, "kubernetes"), No, "a name of the cluster"},
		"with a service's name":                 {of("two", ServingSigner, "x.kube-system.svc"), No, "a name of the cluster"},
		"with a service's whole name":           {of("two", ServingSigner, "x.kube-system.svc.cluster.local"), No, "a name of the cluster"},
		"with localhost":                        {of("two", ServingSigner, "localhost"), No, "a name of the cluster"},
		"with all names":                        {of("two", ServingSigner, "*.example"), No, "a name of the cluster"},
		"with the API server's public name":     {of("two", ServingSigner, "api.example"), No, "a name of the API server"},
		"with a name that is nobody's":          {of("two", ServingSigner, "else.example"), Later, "no name of the node two"},
		"with a service's address":              {of("two", ServingSigner, "10.43.0.1"), No, "no machine's address"},
		"with loopback":                         {of("two", ServingSigner, "127.0.0.1"), No, "no machine's address"},
		"with another node's address":           {of("two", ServingSigner, "192.0.2.1"), No, "another node's address"},
		"with the API server's address":         {of("two", ServingSigner, "192.0.2.100"), Later, "an address of the API server"},
		"with an address that is nobody's":      {of("two", ServingSigner, "192.0.2.77"), Later, "no address of the node two"},
		"before the node is there":              {of("three", ServingSigner, "three"), Later, "no node three"},
		"with no name":                          {of("two", ServingSigner, ""), No, "no name and no address"},
		"a server that would be a client":       {of("two", ServingSigner, "two", wants("digital signature", "client auth")), No, "usages"},
		"a server without a signature":          {of("two", ServingSigner, "two", wants("server auth")), No, "usages"},
		"of a signer that is not for nodes":     {of("two", "kubernetes.io/kube-apiserver-client", ""), No, "not for nodes"},
		"with another organization":             {of("two", ClientSigner, "", func(r *Request) { r.CSR.Subject.Organization = []string{"system:nodes", "system:masters"} }), No, "no node's"},
		"with a user's name":                    {of("two", ClientSigner, "", func(r *Request) { r.CSR.Subject.CommonName = "kubernetes-admin" }), No, "no node's"},
		"with an empty name":                    {of("", ClientSigner, ""), No, "no node's"},
		"with an e-mail address":                {of("two", ServingSigner, "two", func(r *Request) { r.CSR.EmailAddresses = []string{"a@b"} }), No, "e-mail"},
		"with a URI":                            {of("two", ServingSigner, "two", func(r *Request) { r.CSR.URIs = []*url.URL{{}} }), No, "URI"},
		"with an address that is no address":    {of("two", ServingSigner, "", func(r *Request) { r.CSR.IPAddresses = []net.IP{{1}} }), No, "no machine's address"},
		"with an IPv4 address as an IPv6 one":   {of("two", ServingSigner, "::ffff:10.43.0.1"), No, "no machine's address"},
	} {
		t.Run(name, func(t *testing.T) {
			got := cluster.Decide(tc.request, nodes)
			if got.Answer != tc.answer || !strings.Contains(got.Reason, tc.reason) {
				t.Errorf("got %v, want %v with %q", got, tc.answer, tc.reason)
			}
		})
	}
}

// A node that comes later and tells the name of one that is there does not keep
// that one from its own name.
func TestOwnNameStaysOwn(t *testing.T) {
	if got := cluster.Decide(of("one", ServingSigner, "one 192.0.2.1"), nodes); got.Answer != Yes {
		t.Errorf("got %v", got)
	}
}
