// Package approver answers the nodes' requests for certificates, and signs
// them. Upstream approves clients by permission and servers not at all, and its
// signer starts after all other controllers: a node's first start would wait for it.
package approver

import (
	"context"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"time"

	certificatesv1 "k8s.io/api/certificates/v1"
	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/informers"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/tools/cache"
	"k8s.io/client-go/util/workqueue"
	"k8s.io/klog/v2"

	"k8sbuild.dev/distribution/pkg/certs"
	"k8sbuild.dev/distribution/pkg/components/shared"
	"k8sbuild.dev/distribution/pkg/config"
	"k8sbuild.dev/distribution/pkg/nodeidentity"
	"k8sbuild.dev/distribution/pkg/server"
	"k8sbuild.dev/distribution/pkg/service"
)

// Name is the component's name.
const Name = "node-approver"

const (
	// patience is how long a request may wait for what its node tells of itself.
	patience = 30 * time.Second
	// lookAgain is the time between two looks at a request that waits.
	lookAgain = 500 * time.Millisecond
)

// bindingName is the name of the permission to ask for a node's first certificate.
const bindingName = "k8s:node-bootstrappers"

var errNotYet = errors.New("the requests are not listed yet")

// Register adds the component to the server.
func Register() {
	server.Register(server.Component{
		Name: Name, New: New,
		After: []string{string(server.RoleAPIServer)}, Before: []string{string(server.RoleKubelet)},
	})
}

// New makes the component's service.
func New(cfg *config.Config) (service.Service, error) {
	cluster, err := clusterOf(cfg)
	if err != nil {
		return nil, err
	}
	run := func(ctx context.Context, client kubernetes.Interface, ready func()) error {
		a := &approver{client: client, cluster: cluster, store: certs.Cluster(cfg), now: time.Now}
		return a.run(ctx, ready)
	}
	return shared.Controller(cfg, Name, errNotYet, run), nil
}

// clusterOf is what the configuration says about names and addresses.
func clusterOf(cfg *config.Config) (c nodeidentity.Cluster, err error) {
	c = nodeidentity.Cluster{Domain: cfg.ClusterDomain}
	if c.Services, err = cfg.ServicePrefixes(); err != nil {
		return c, err
	}
	if c.APIServer, err = certs.APIServerSANs(cfg); err != nil {
		return c, err
	}
	if cfg.DisableAgent {
		return c, nil
	}
	c.Own = cfg.NodeName
	c.OwnAddresses, err = cfg.NodeAddrs()
	return c, err
}

type approver struct {
	client  kubernetes.Interface
	cluster nodeidentity.Cluster
	store   certs.Store
	now     func() time.Time
}

// run answers requests until ctx is over.
func (a *approver) run(ctx context.Context, ready func()) error {
	if err := a.allowBootstrap(ctx); err != nil {
		return fmt.Errorf("let nodes ask for certificates: %w", err)
	}
	factory := informers.NewSharedInformerFactory(a.client, 0)
	requests := factory.Certificates().V1().CertificateSigningRequests()
	queue := workqueue.NewTypedRateLimitingQueue(workqueue.DefaultTypedControllerRateLimiter[string]())
	defer queue.ShutDown()
	add := func(obj any) { queue.Add(obj.(*certificatesv1.CertificateSigningRequest).Name) }
	if _, err := requests.Informer().AddEventHandler(cache.ResourceEventHandlerFuncs{
		AddFunc: add, UpdateFunc: func(_, obj any) { add(obj) },
	}); err != nil {
		return fmt.Errorf("watch requests: %w", err)
	}
	factory.Start(ctx.Done())
	factory.WaitForCacheSync(ctx.Done())
	context.AfterFunc(ctx, queue.ShutDown)
	ready()
	for {
		name, over := queue.Get()
		if over {
			return nil
		}
		request, err := requests.Lister().Get(name)
		if err == nil {
			err = a.work(ctx, request, func() { queue.AddAfter(name, lookAgain) })
		}
		if err != nil && !apierrors.IsNotFound(err) {
			klog.ErrorS(err, "Cannot answer request for a certificate", "request", name)
			queue.AddRateLimited(name)
		} else {
			queue.Forget(name)
		}
		queue.Done(name)
	}
}

// allowBootstrap lets the holders of bootstrap credentials make requests.
func (a *approver) allowBootstrap(ctx context.Context) error {
	_, err := a.client.RbacV1().ClusterRoleBindings().Create(ctx, &rbacv1.ClusterRoleBinding{
		ObjectMeta: metav1.ObjectMeta{Name: bindingName},
		RoleRef:    rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "ClusterRole", Name: "system:node-bootstrapper"},
		Subjects:   []rbacv1.Subject{{APIGroup: rbacv1.GroupName, Kind: rbacv1.GroupKind, Name: nodeidentity.BootstrapGroup}},
	}, metav1.CreateOptions{})
	if apierrors.IsAlreadyExists(err) {
		return nil
	}
	return err
}

// work answers a request, or signs it, or has it looked at again.
func (a *approver) work(ctx context.Context, request *certificatesv1.CertificateSigningRequest, again func()) error {
	signer := request.Spec.SignerName
	approved := has(request, certificatesv1.CertificateApproved)
	if signer != nodeidentity.ClientSigner && signer != nodeidentity.ServingSigner || len(request.Status.Certificate) > 0 ||
		!approved && len(request.Status.Conditions) > 0 || has(request, certificatesv1.CertificateFailed) {
		return nil
	}
	csr, verdict, err := a.judge(ctx, request)
	if err != nil {
		return err
	}
	if approved {
		return a.sign(ctx, request.DeepCopy(), csr, verdict)
	}
	if verdict.Answer == nodeidentity.Later {
		if a.now().Before(request.CreationTimestamp.Add(patience)) {
			again()
			return nil
		}
		verdict.Answer = nodeidentity.No
	}
	return a.answer(ctx, request.DeepCopy(), verdict)
}

func has(request *certificatesv1.CertificateSigningRequest, kind certificatesv1.RequestConditionType) bool {
	return slices.ContainsFunc(request.Status.Conditions, func(c certificatesv1.CertificateSigningRequestCondition) bool { return c.Type == kind })
}

// judge asks the API server for the nodes, and not a cache: it may not know one
// that is there.
func (a *approver) judge(ctx context.Context, request *certificatesv1.CertificateSigningRequest) (csr *x509.CertificateRequest, v nodeidentity.Verdict, err error) {
	csr, err = parse(request.Spec.Request)
	if err != nil {
		return nil, nodeidentity.Verdict{Answer: nodeidentity.No, Reason: err.Error()}, nil
	}
	list, err := a.client.CoreV1().Nodes().List(ctx, metav1.ListOptions{})
	if err != nil {
		return nil, v, fmt.Errorf("list nodes: %w", err)
	}
	var usages []string
	for _, usage := range request.Spec.Usages {
		usages = append(usages, string(usage))
	}
	return csr, a.cluster.Decide(nodeidentity.Request{
		Signer: request.Spec.SignerName, User: request.Spec.Username, Groups: request.Spec.Groups, Usages: usages, CSR: csr,
	}, nodesOf(list.Items)), nil
}

func parse(text []byte) (*x509.CertificateRequest, error) {
	block, _ := pem.Decode(text)
	if block == nil {
		return nil, errors.New("the request is no PEM text")
	}
	return x509.ParseCertificateRequest(block.Bytes)
}

func nodesOf(items []corev1.Node) []nodeidentity.Node {
	var nodes []nodeidentity.Node
	for _, item := range items {
		node := nodeidentity.Node{Name: item.Name}
		for _, address := range item.Status.Addresses {
			if ip, err := netip.ParseAddr(address.Address); err == nil {
				node.Addresses = append(node.Addresses, ip.Unmap())
			} else {
				node.Names = append(node.Names, address.Address)
			}
		}
		nodes = append(nodes, node)
	}
	return nodes
}

// answer writes the verdict down. A conflict means that another server was faster.
func (a *approver) answer(ctx context.Context, request *certificatesv1.CertificateSigningRequest, verdict nodeidentity.Verdict) error {
	condition := certificatesv1.CertificateSigningRequestCondition{
		Type: certificatesv1.CertificateApproved, Status: corev1.ConditionTrue, Reason: "NodeIdentity", Message: verdict.Reason,
	}
	if verdict.Answer != nodeidentity.Yes {
		condition.Type = certificatesv1.CertificateDenied
	}
	request.Status.Conditions = append(request.Status.Conditions, condition)
	_, err := a.client.CertificatesV1().CertificateSigningRequests().UpdateApproval(ctx, request.Name, request, metav1.UpdateOptions{})
	if apierrors.IsConflict(err) {
		return nil
	}
	if err == nil {
		klog.InfoS("Request for a certificate", "request", request.Name, "answer", condition.Type,
			"reason", verdict.Reason, "user", request.Spec.Username, "signer", request.Spec.SignerName)
	}
	return err
}

// sign writes the certificate of an approved request. Somebody else may have
// approved it: what is not the node's is not signed all the same.
func (a *approver) sign(ctx context.Context, request *certificatesv1.CertificateSigningRequest, csr *x509.CertificateRequest, verdict nodeidentity.Verdict) error {
	var err error
	if verdict.Answer == nodeidentity.No {
		err = errors.New(verdict.Reason)
	} else {
		request.Status.Certificate, err = a.certificate(request, csr)
	}
	if err != nil {
		klog.ErrorS(err, "Request for a certificate cannot be signed", "request", request.Name, "user", request.Spec.Username)
		request.Status.Conditions = append(request.Status.Conditions, certificatesv1.CertificateSigningRequestCondition{
			Type: certificatesv1.CertificateFailed, Status: corev1.ConditionTrue, Reason: "NodeIdentity", Message: err.Error(),
		})
	}
	_, err = a.client.CertificatesV1().CertificateSigningRequests().UpdateStatus(ctx, request, metav1.UpdateOptions{})
	if apierrors.IsConflict(err) {
		return nil
	}
	return err
}

func (a *approver) certificate(request *certificatesv1.CertificateSigningRequest, csr *x509.CertificateRequest) ([]byte, error) {
	life := time.Duration(0)
	if seconds := request.Spec.ExpirationSeconds; seconds != nil {
		life = time.Duration(*seconds) * time.Second
	}
	if request.Spec.SignerName == nodeidentity.ClientSigner {
		return a.store.SignRequest(certs.ClientCA, csr, x509.ExtKeyUsageClientAuth, life)
	}
	return a.store.SignRequest(certs.ServerCA, csr, x509.ExtKeyUsageServerAuth, life)
}
