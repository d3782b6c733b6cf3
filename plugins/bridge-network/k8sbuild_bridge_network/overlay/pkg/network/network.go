// Package network connects pods by a bridge on each node, and the nodes' bridges
// by routes through the network that the nodes have in common.
//
// A pod keeps its address towards pods of other nodes, and has its node's
// address towards the rest of the world. What is changed on the machine is
// marked as ours, kept right while the server runs, left alone when it stops
// (pods run on), and removed by Undo.
package network

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"os/exec"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/informers"
	"k8s.io/client-go/kubernetes"
	listers "k8s.io/client-go/listers/core/v1"
	"k8s.io/client-go/tools/cache"
	"k8s.io/klog/v2"

	"k8sbuild.dev/distribution/pkg/cleanup"
	"k8sbuild.dev/distribution/pkg/components/shared"
	"k8sbuild.dev/distribution/pkg/config"
	"k8sbuild.dev/distribution/pkg/server"
	"k8sbuild.dev/distribution/pkg/service"
)

// Name is the component's name, and the value of --network.
const Name = "bridge"

// lookAgain is how often everything is put right that others may have changed.
const lookAgain = 30 * time.Second

var errNotYet = errors.New("the nodes are not listed yet")

// Register makes the network one of this binary's.
func Register() {
	server.Register(server.Component{Name: Name, Role: server.RoleNetwork, New: New})
	cleanup.Register(Name, Undo)
}

// New makes the component's service. It is ready before the node is there, so
// that the node's range of pods is acted on as soon as the node has it.
func New(cfg *config.Config) (service.Service, error) {
	n, err := newNetwork(cfg)
	if err != nil {
		return nil, err
	}
	return shared.Controller(cfg, Name, errNotYet, n.run), nil
}

// network is this machine's part of the pods' network.
type network struct {
	node    string
	cluster []netip.Prefix
	address netip.Addr
	file    string
	ipam    string
	kernel  kernel
	tables  maker
	// guarded is what guard said last.
	guarded error
	// said is the last problem that the log has, so that it has it once.
	said string
}

func newNetwork(cfg *config.Config) (*network, error) {
	cluster, err := cfg.ClusterPrefixes()
	if err != nil {
		return nil, err
	}
	addresses, err := cfg.NodeAddrs()
	if err != nil {
		return nil, err
	}
	for _, c := range cluster {
		program := map[bool]string{true: "iptables", false: "ip6tables"}[c.Addr().Is4()]
		if _, err := exec.LookPath(program); err != nil {
			return nil, fmt.Errorf("pods need the program %s, which is not on this machine; install it, or give --network=%s", program, config.NoNetwork)
		}
	}
	return &network{
		node: cfg.NodeName, cluster: cluster, address: addresses[0],
		file: cniFile(cfg), ipam: ipamDir(cfg), kernel: machine(keptFile(cfg)), tables: programs,
	}, nil
}

func keptFile(cfg *config.Config) string { return cfg.Path("network", "kernel.json") }

// run keeps everything right until ctx is over.
func (n *network) run(ctx context.Context, client kubernetes.Interface, ready func()) error {
	if err := n.prepare(ctx); err != nil {
		return err
	}
	factory := informers.NewSharedInformerFactoryWithOptions(client, 0, informers.WithTransform(slim))
	nodes := factory.Core().V1().Nodes()
	changed := make(chan struct{}, 1)
	change := func() {
		select {
		case changed <- struct{}{}:
		default:
		}
	}
	if _, err := nodes.Informer().AddEventHandler(cache.ResourceEventHandlerFuncs{
		AddFunc: func(any) { change() }, UpdateFunc: func(any, any) { change() }, DeleteFunc: func(any) { change() },
	}); err != nil {
		return fmt.Errorf("watch nodes: %w", err)
	}
	factory.Start(ctx.Done())
	factory.WaitForCacheSync(ctx.Done())
	ready()
	again := time.NewTicker(lookAgain)
	defer again.Stop()
	for guard := false; ; {
		n.look(nodes.Lister(), guard)
		select {
		case <-ctx.Done():
			return nil
		case <-changed:
			guard = false
		case <-again.C:
			guard = true
		}
	}
}

// look makes the network that the nodes describe, and puts right what holds for
// any nodes where that is asked for. One report is of both: either being well
// does not end the other's problem.
func (n *network) look(lister listers.NodeLister, guard bool) {
	if guard {
		n.guarded = n.guard()
	}
	n.report(errors.Join(n.connect(lister), n.guarded))
}

// slim keeps what routes are made of.
func slim(object any) (any, error) {
	node, is := object.(*corev1.Node)
	if !is {
		return object, nil
	}
	return &corev1.Node{
		ObjectMeta: metav1.ObjectMeta{Name: node.Name, ResourceVersion: node.ResourceVersion},
		Spec:       corev1.NodeSpec{PodCIDRs: node.Spec.PodCIDRs},
		Status:     corev1.NodeStatus{Addresses: node.Status.Addresses},
	}, nil
}

// report says a problem once, and that it is over.
func (n *network) report(err error) {
	text := ""
	if err != nil {
		text = err.Error()
	}
	if text == n.said {
		return
	}
	n.said = text
	if err != nil {
		klog.ErrorS(err, "The pods' network is incomplete, trying again")
	} else {
		klog.InfoS("The pods' network is complete again")
	}
}
