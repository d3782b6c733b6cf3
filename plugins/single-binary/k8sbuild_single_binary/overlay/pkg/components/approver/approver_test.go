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
	cluster, err := clusterOf(componenttest.Node(t))
	if err != nil {
		t.Fatal(err)
	}
	client := fake.NewSimpleClientset(objects...)
	return &approver{client: client, cluster: cluster, now: time.Now}, client
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
	done := serving(t, "b", "two")
	done.Status.Conditions = []certificatesv1.CertificateSigningRequestCondition{{Type: certificatesv1.CertificateApproved}}
	for _, request := range []*certificatesv1.CertificateSigningRequest{other, done} {
		if err := a.work(t.Context(), request, nil); err != nil || len(client.Actions()) > 0 {
			t.Errorf("%s: got %v, %v", request.Name, err, client.Actions())
		}
	}
}

func TestFailureIsTriedAgain(t *testing.T) {
	a, client := made(t, node("two"), serving(t, "a", "two", "two"))
	failures := 0
	client.PrependReactor("update", "certificatesigningrequests", func(clienttesting.Action) (bool, runtime.Object, error) {
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
