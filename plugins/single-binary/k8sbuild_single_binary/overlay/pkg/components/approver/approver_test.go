package approver

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"net"
	"os"
	"strings"
	"testing"
	"time"

	certificatesv1 "k8s.io/api/certificates/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/watch"
	"k8s.io/client-go/kubernetes/fake"
	clienttesting "k8s.io/client-go/testing"

	"k8sbuild.dev/distribution/pkg/certs"
	"k8sbuild.dev/distribution/pkg/components/componenttest"
	"k8sbuild.dev/distribution/pkg/config"
	"k8sbuild.dev/distribution/pkg/nodeidentity"
)

func text(t *testing.T, node string, sans ...string) []byte {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.CertificateRequest{Subject: pkix.Name{CommonName: nodeidentity.NodeUser(node), Organization: []string{"system:nodes"}}}
	for _, san := range sans {
		if ip := net.ParseIP(san); ip != nil {
			template.IPAddresses = append(template.IPAddresses, ip)
		} else {
			template.DNSNames = append(template.DNSNames, san)
		}
	}
	der, err := x509.CreateCertificateRequest(rand.Reader, template, key)
	if err != nil {
		t.Fatal(err)
	}
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE REQUEST", Bytes: der})
}

// serving is a node's request for itself, made now.
func serving(t *testing.T, name, node string, sans ...string) *certificatesv1.CertificateSigningRequest {
	return &certificatesv1.CertificateSigningRequest{
		ObjectMeta: metav1.ObjectMeta{Name: name, CreationTimestamp: metav1.Now()},
		Spec: certificatesv1.CertificateSigningRequestSpec{
			SignerName: nodeidentity.ServingSigner, Username: nodeidentity.NodeUser(node), Groups: []string{"system:nodes"},
			Usages:  []certificatesv1.KeyUsage{certificatesv1.UsageDigitalSignature, certificatesv1.UsageServerAuth},
			Request: text(t, node, sans...),
		},
	}
}

func node(name string, addresses ...corev1.NodeAddress) *corev1.Node {
	return &corev1.Node{ObjectMeta: metav1.ObjectMeta{Name: name}, Status: corev1.NodeStatus{Addresses: addresses}}
}

func made(t *testing.T, objects ...runtime.Object) (*approver, *fake.Clientset) {
	t.Helper()
	cfg := componenttest.Node(t)
	cluster, err := clusterOf(cfg)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := certs.EnsureCluster(cfg); err != nil {
		t.Fatal(err)
	}
	client := fake.NewSimpleClientset(objects...)
	return &approver{client: client, cluster: cluster, store: certs.Cluster(cfg), now: time.Now}, client
}

// answers runs the approver and gives the conditions that it writes.
func answers(t *testing.T, a *approver, client *fake.Clientset) (next func() (string, certificatesv1.CertificateSigningRequestCondition)) {
	t.Helper()
	written, err := client.CertificatesV1().CertificateSigningRequests().Watch(t.Context(), metav1.ListOptions{})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	ended, ready := make(chan error, 1), make(chan struct{})
	go func() { ended <- a.run(ctx, func() { close(ready) }) }()
	t.Cleanup(func() {
		cancel()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	})
	select {
	case <-ready:
	case err := <-ended:
		ended <- err
		t.Fatal(err)
	}
	return func() (string, certificatesv1.CertificateSigningRequestCondition) {
		t.Helper()
		for {
			select {
			case e := <-written.ResultChan():
				request := e.Object.(*certificatesv1.CertificateSigningRequest)
				if e.Type == watch.Modified && len(request.Status.Conditions) == 1 {
					return request.Name, request.Status.Conditions[0]
				}
			case <-time.After(20 * time.Second):
				t.Fatal("no answer")
			}
		}
	}
}

func TestAnswers(t *testing.T) {
	two := node("two", corev1.NodeAddress{Type: corev1.NodeHostName, Address: "two"},
		corev1.NodeAddress{Type: corev1.NodeInternalIP, Address: "192.0.2.2"})
	for name, tc := range map[string]struct {
		request *certificatesv1.CertificateSigningRequest
		want    certificatesv1.RequestConditionType
		reason  string
	}{
		"its own":            {serving(t, "a", "two", "two", "192.0.2.2"), certificatesv1.CertificateApproved, "own"},
		"another node's":     {serving(t, "a", "two", "node"), certificatesv1.CertificateDenied, "another node's name"},
		"kubernetes.default": {serving(t, "a", "two", "two", "kubernetes.default"), certificatesv1.CertificateDenied, "a name of the cluster"},
		"this server's node": {serving(t, "a", "node", "node", "192.0.2.7"), certificatesv1.CertificateApproved, "own"},
	} {
		t.Run(name, func(t *testing.T) {
			a, client := made(t, two, node("node"), tc.request)
			_, got := answers(t, a, client)()
			if got.Type != tc.want || !strings.Contains(got.Message, tc.reason) || got.Status != corev1.ConditionTrue {
				t.Errorf("got %+v", got)
			}
			if _, err := client.RbacV1().ClusterRoleBindings().Get(t.Context(), bindingName, metav1.GetOptions{}); err != nil {
				t.Error(err)
			}
		})
	}
}

// The kubelet asks while its node is still being made.
func TestRequestWaitsForItsNode(t *testing.T) {
	a, client := made(t, serving(t, "a", "two", "two"))
	asked := make(chan struct{}, 100)
	client.PrependReactor("list", "nodes", func(clienttesting.Action) (bool, runtime.Object, error) {
		asked <- struct{}{}
		return false, nil, nil
	})
	next := answers(t, a, client)
	<-asked
	if err := client.Tracker().Add(node("two")); err != nil {
		t.Fatal(err)
	}
	if _, got := next(); got.Type != certificatesv1.CertificateApproved {
		t.Errorf("got %+v", got)
	}
}

func TestPatienceEnds(t *testing.T) {
	request := serving(t, "a", "two", "two")
	a, client := made(t, request)
	a.now = func() time.Time { return request.CreationTimestamp.Add(patience) }
	if _, got := answers(t, a, client)(); got.Type != certificatesv1.CertificateDenied || !strings.Contains(got.Message, "no node two") {
		t.Errorf("got %+v", got)
	}
}

func TestUnreadableRequestIsDenied(t *testing.T) {
	for _, content := range []string{"", "-----BEGIN CERTIFICATE REQUEST-----\nAAAA\n-----END CERTIFICATE REQUEST-----\n"} {
		request := serving(t, "a", "two")
		request.Spec.Request = []byte(content)
		a, client := made(t, request)
		if _, got := answers(t, a, client)(); got.Type != certificatesv1.CertificateDenied {
			t.Errorf("got %+v", got)
		}
	}
}

// Requests of other signers, and those with an answer, are other people's.
func TestOthersAreLeftAlone(t *testing.T) {
	a, client := made(t)
	other := serving(t, "a", "two")
	other.Spec.SignerName = "kubernetes.io/kube-apiserver-client"
	denied := answered(serving(t, "b", "two"), certificatesv1.CertificateDenied)
	failed := answered(serving(t, "c", "two"), certificatesv1.CertificateApproved, certificatesv1.CertificateFailed)
	done := answered(serving(t, "d", "two"), certificatesv1.CertificateApproved)
	done.Status.Certificate = []byte("x")
	for _, request := range []*certificatesv1.CertificateSigningRequest{other, denied, failed, done} {
		if err := a.work(t.Context(), request, nil); err != nil || len(client.Actions()) > 0 {
			t.Errorf("%s: got %v, %v", request.Name, err, client.Actions())
		}
	}
}

func answered(request *certificatesv1.CertificateSigningRequest, kinds ...certificatesv1.RequestConditionType) *certificatesv1.CertificateSigningRequest {
	for _, kind := range kinds {
		request.Status.Conditions = append(request.Status.Conditions, certificatesv1.CertificateSigningRequestCondition{Type: kind})
	}
	return request
}

// signed works on a request that is approved, and gives what became of it.
func signed(t *testing.T, request *certificatesv1.CertificateSigningRequest, spoil ...func(*approver)) (*approver, *certificatesv1.CertificateSigningRequest) {
	t.Helper()
	a, client := made(t, node("two"), answered(request, certificatesv1.CertificateApproved))
	for _, spoil := range spoil {
		spoil(a)
	}
	if err := a.work(t.Context(), request, nil); err != nil {
		t.Fatal(err)
	}
	got, err := client.CertificatesV1().CertificateSigningRequests().Get(t.Context(), request.Name, metav1.GetOptions{})
	if err != nil {
		t.Fatal(err)
	}
	return a, got
}

func TestApprovedRequestsAreSigned(t *testing.T) {
	seconds := int32(3600)
	short := serving(t, "a", "two", "two")
	short.Spec.ExpirationSeconds = &seconds
	client := serving(t, "b", "two")
	client.Spec.SignerName = nodeidentity.ClientSigner
	client.Spec.Usages = []certificatesv1.KeyUsage{certificatesv1.UsageDigitalSignature, certificatesv1.UsageClientAuth}
	for _, tc := range []struct {
		request   *certificatesv1.CertificateSigningRequest
		authority string
		usage     x509.ExtKeyUsage
		life      time.Duration
	}{
		{short, certs.ServerCA, x509.ExtKeyUsageServerAuth, time.Hour},
		{client, certs.ClientCA, x509.ExtKeyUsageClientAuth, 365 * 24 * time.Hour},
	} {
		a, got := signed(t, tc.request)
		block, _ := pem.Decode(got.Status.Certificate)
		if block == nil {
			t.Fatalf("got %+v", got.Status)
		}
		cert, err := x509.ParseCertificate(block.Bytes)
		if err != nil {
			t.Fatal(err)
		}
		authority, err := os.ReadFile(a.store.Cert(tc.authority))
		if err != nil {
			t.Fatal(err)
		}
		roots := x509.NewCertPool()
		roots.AppendCertsFromPEM(authority)
		if _, err := cert.Verify(x509.VerifyOptions{Roots: roots, KeyUsages: []x509.ExtKeyUsage{tc.usage}}); err != nil {
			t.Error(err)
		}
		if left := time.Until(cert.NotAfter); left > tc.life || left < tc.life-time.Minute || cert.Subject.CommonName != "system:node:two" || cert.IsCA {
			t.Errorf("got %v for %s", cert.Subject, left)
		}
	}
}

// Approval alone makes nobody another: whoever may approve cannot hand out the
// API server's name.
func TestApprovalOfOthersIsNotEnough(t *testing.T) {
	_, got := signed(t, serving(t, "a", "two", "kubernetes.default"))
	if len(got.Status.Certificate) > 0 || !has(got, certificatesv1.CertificateFailed) {
		t.Errorf("got %+v", got.Status)
	}
	_, got = signed(t, serving(t, "a", "two", "two"), func(a *approver) { a.store.Dir = t.TempDir() })
	if len(got.Status.Certificate) > 0 || !has(got, certificatesv1.CertificateFailed) {
		t.Errorf("signed without an authority: %+v", got.Status)
	}
}

func TestFailureIsTriedAgain(t *testing.T) {
	a, client := made(t, node("two"), serving(t, "a", "two", "two"))
	failures := 0
	client.PrependReactor("update", "certificatesigningrequests", func(action clienttesting.Action) (bool, runtime.Object, error) {
		if action.GetSubresource() != "approval" {
			return false, nil, nil
		}
		if failures++; failures < 3 {
			return true, nil, errors.New("not now")
		}
		return false, nil, nil
	})
	if _, got := answers(t, a, client)(); got.Type != certificatesv1.CertificateApproved || failures != 3 {
		t.Errorf("got %+v after %d", got, failures)
	}
}

func TestErrorsOfTheAPIServer(t *testing.T) {
	kind := schema.GroupResource{Resource: "certificatesigningrequests"}
	for name, tc := range map[string]struct {
		verb, resource string
		err            error
		want           string
	}{
		"another server was faster": {"update", kind.Resource, apierrors.NewConflict(kind, "a", errors.New("changed")), ""},
		"no nodes":                  {"list", "nodes", errors.New("not now"), "list nodes: not now"},
	} {
		request := serving(t, "a", "two", "two")
		a, client := made(t, node("two"), request)
		client.PrependReactor(tc.verb, tc.resource, func(clienttesting.Action) (bool, runtime.Object, error) { return true, nil, tc.err })
		err := a.work(t.Context(), request, nil)
		if tc.want == "" && err != nil || tc.want != "" && (err == nil || err.Error() != tc.want) {
			t.Errorf("%s: got %v", name, err)
		}
	}
	a, client := made(t)
	client.PrependReactor("create", "*", func(clienttesting.Action) (bool, runtime.Object, error) { return true, nil, errors.New("no") })
	if err := a.run(t.Context(), nil); err == nil || !strings.Contains(err.Error(), "let nodes ask") {
		t.Errorf("got %v", err)
	}
}

func TestService(t *testing.T) {
	componenttest.WantNoRun(t, Name, New)
	s, err := New(componenttest.Node(t))
	if err != nil || s.Ready(t.Context()) == nil {
		t.Errorf("got %v, %v", s, err)
	}
	for _, spoil := range []func(*config.Config){
		func(c *config.Config) { c.ServiceCIDR = "x" },
		func(c *config.Config) { c.ServiceCIDR = "10.0.0.0/32" },
		func(c *config.Config) { c.NodeIPs = []string{"x"} },
	} {
		cfg := componenttest.Node(t)
		spoil(cfg)
		if _, err := New(cfg); err == nil {
			t.Error("takes a wrong configuration")
		}
	}
	Register()
}
