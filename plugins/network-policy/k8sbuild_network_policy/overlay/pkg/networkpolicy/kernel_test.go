package networkpolicy

import (
	"context"
	"encoding/binary"
	"fmt"
	"net"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/google/nftables"
	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/intstr"
	"k8s.io/client-go/kubernetes/fake"

	"k8sbuild.dev/distribution/pkg/nettest"
)

const (
	// pod and gateway are the addresses of a pod of this machine and of its bridge.
	pod, gateway = "10.42.0.5", "10.42.0.1"
	// open and shut are ports of the machine, of which the policy allows one.
	open, shut = 8081, 8080
)

// kernel skips where there is nothing to try.
func kernel(t *testing.T) {
	t.Helper()
	nettest.Need(t, "rules and queues of packets")
	if what, fix := lacks(); what != "" {
		t.Skipf("SKIPPED: %s; %s. Policies are NOT tried on a kernel", what, fix)
	}
}

// wire is a cable from a pod to this machine: what is put into its one end
// comes in at the other.
type wire struct {
	socket int
	to     unix.SockaddrLinklayer
	mac    net.HardwareAddr
}

func newWire(t *testing.T) wire {
	t.Helper()
	cable := &netlink.Veth{LinkAttrs: netlink.LinkAttrs{Name: "pod0"}, PeerName: "node0"}
	must(t, netlink.LinkAdd(cable))
	t.Cleanup(func() { _ = netlink.LinkDel(cable) })
	node, err := netlink.LinkByName("node0")
	must(t, err)
	address, err := netlink.ParseAddr(gateway + "/24")
	must(t, err)
	must(t, netlink.AddrAdd(node, address))
	must(t, netlink.LinkSetUp(node))
	must(t, netlink.LinkSetUp(cable))
	end, err := netlink.LinkByName("pod0")
	must(t, err)
	socket, err := unix.Socket(unix.AF_PACKET, unix.SOCK_RAW, 0)
	must(t, err)
	t.Cleanup(func() { _ = unix.Close(socket) })
	return wire{socket, unix.SockaddrLinklayer{Ifindex: end.Attrs().Index}, node.Attrs().HardwareAddr}
}

// send sends a packet of the pod's to the machine.
func (w wire) send(t *testing.T, protocol byte, payload []byte) {
	t.Helper()
	header := []byte{0x45, 0, 0, byte(20 + len(payload)), 0, 0, 0, 0, 64, protocol, 0, 0}
	header = append(append(header, net.ParseIP(pod).To4()...), net.ParseIP(gateway).To4()...)
	var sum uint32
	for i := 0; i < len(header); i += 2 {
		sum += uint32(binary.BigEndian.Uint16(header[i:]))
	}
	binary.BigEndian.PutUint16(header[10:], ^uint16(sum+sum>>16))
	frame := append(append([]byte{}, w.mac...), 2, 0, 0, 0, 0, 1, 8, 0)
	must(t, unix.Sendto(w.socket, append(append(frame, header...), payload...), 0, &w.to))
}

func (w wire) datagram(t *testing.T, port int, text string) {
	t.Helper()
	payload := []byte{0x30, 0x39, byte(port >> 8), byte(port), 0, byte(8 + len(text)), 0, 0}
	w.send(t, unix.IPPROTO_UDP, append(payload, text...))
}

func listenAt(t *testing.T, port int) *net.UDPConn {
	t.Helper()
	c, err := net.ListenUDP("udp4", &net.UDPAddr{IP: net.ParseIP(gateway), Port: port})
	must(t, err)
	t.Cleanup(func() { _ = c.Close() })
	return c
}

// got says whether a text has come, after others.
func got(t *testing.T, c *net.UDPConn, text string, within time.Duration) bool {
	t.Helper()
	must(t, c.SetReadDeadline(time.Now().Add(within)))
	buffer := make([]byte, 100)
	for {
		n, err := c.Read(buffer)
		if err != nil {
			return false
		}
		if string(buffer[:n]) == text {
			return true
		}
	}
}

// onlyPort lets the pod send to one port of anybody.
func onlyPort(port int) *networkingv1.NetworkPolicy {
	udp, number := corev1.ProtocolUDP, intstr.FromInt32(int32(port))
	return &networkingv1.NetworkPolicy{
		ObjectMeta: metav1.ObjectMeta{Name: "only", Namespace: "default"},
		Spec: networkingv1.NetworkPolicySpec{
			PolicyTypes: []networkingv1.PolicyType{networkingv1.PolicyTypeEgress},
			Egress:      []networkingv1.NetworkPolicyEgressRule{{Ports: []networkingv1.NetworkPolicyPort{{Protocol: &udp, Port: &number}}}},
		},
	}
}

func waitFor(t *testing.T, what string, is func() bool) {
	t.Helper()
	for deadline := time.Now().Add(20 * time.Second); !is(); time.Sleep(10 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("no %s", what)
		}
	}
}

func TestPoliciesHoldOnThisKernel(t *testing.T) {
	kernel(t)
	w, allowed, denied := newWire(t), listenAt(t, open), listenAt(t, shut)
	// passes says whether a packet to the shut port comes, as one to the open port
	// does, which is sent later and through the same queue. Both are lost when the
	// rules are written while they wait.
	passes := func() bool {
		for round := range 100 {
			text := fmt.Sprint(time.Now().UnixNano(), round)
			w.datagram(t, shut, text)
			w.datagram(t, open, text)
			if got(t, allowed, text, 200*time.Millisecond) {
				return got(t, denied, text, 20*time.Millisecond)
			}
		}
		t.Fatal("packets that are allowed do not come")
		return false
	}
	client := fake.NewClientset(&corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{Name: "a", Namespace: "default"},
		Spec:       corev1.PodSpec{NodeName: "node"},
		Status:     corev1.PodStatus{Phase: corev1.PodRunning, PodIPs: []corev1.PodIP{{IP: pod}}},
	}, &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: "default"}})
	policies := client.NetworkingV1().NetworkPolicies("default")
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- run(ctx, client, "node") }()
	waitFor(t, "listener", func() bool { return listening(queues) == nil })
	if !passes() {
		t.Error("without a policy, something is not let pass")
	}
	_, err := policies.Create(ctx, onlyPort(open), metav1.CreateOptions{})
	must(t, err)
	waitFor(t, "policy that holds", func() bool { return !passes() })
	// A header that is cut off, which ended the process once.
	w.send(t, unix.IPPROTO_TCP, []byte{0x30, 0x39, 0x1f, 0x90})
	if passes() {
		t.Error("the policy holds no longer")
	}
	must(t, policies.Delete(ctx, "only", metav1.DeleteOptions{}))
	waitFor(t, "end of the policy", passes)
	cancel()
	must(t, <-ended)
	if tables(t) != "" {
		t.Errorf("left %s", tables(t))
	}
}

func tables(t *testing.T) string {
	t.Helper()
	kernel, err := nftables.New()
	must(t, err)
	found, err := kernel.ListTables()
	must(t, err)
	var names []string
	for _, f := range found {
		if strings.HasPrefix(f.Name, table) {
			names = append(names, f.Name)
		}
	}
	return strings.Join(names, " ")
}

func TestUndoRemovesWhatAKilledServerLeft(t *testing.T) {
	kernel(t)
	must(t, Undo(t.Context(), nil))
	k, err := nftables.New()
	must(t, err)
	for _, name := range []string{table, "another"} {
		made := k.AddTable(&nftables.Table{Name: name, Family: nftables.TableFamilyINet})
		t.Cleanup(func() { k.DelTable(made); _ = k.Flush() })
	}
	must(t, k.Flush())
	must(t, Undo(t.Context(), nil))
	if got := tables(t); got != "" {
		t.Errorf("left %s", got)
	}
	found, err := k.ListTablesOfFamily(nftables.TableFamilyINet)
	if err != nil || len(found) != 1 || found[0].Name != "another" {
		t.Errorf("has %v, %v", found, err)
	}
	k.DelTable(found[0])
	must(t, k.Flush())
}

func TestAQueueThatIsInUseIsNamed(t *testing.T) {
	kernel(t)
	client := fake.NewClientset()
	first, second := make(chan error, 1), make(chan error, 1)
	ctx, cancel := context.WithCancel(t.Context())
	go func() { first <- run(ctx, client, "node") }()
	waitFor(t, "listener", func() bool { return listening(queues) == nil })
	if err := listen(number); err == nil {
		t.Error("two listen to one queue")
	}
	go func() { second <- run(ctx, client, "node") }()
	if err := <-second; err == nil || !strings.Contains(err.Error(), "listen to the queue 107 of packets: ") {
		t.Errorf("got %v", err)
	}
	cancel()
	must(t, <-first)
	if _, err := os.Stat(queues); err != nil {
		t.Error(err)
	}
}
