// Command k8s is a Kubernetes server in one process, and kubectl.
package main

import (
	"fmt"
	"os"

	"github.com/spf13/pflag"

	"k8sbuild.dev/distribution/pkg/components/apiserver"
	"k8sbuild.dev/distribution/pkg/components/approver"
	"k8sbuild.dev/distribution/pkg/components/certificates"
	"k8sbuild.dev/distribution/pkg/components/controllermanager"
	"k8sbuild.dev/distribution/pkg/components/kubelet"
	"k8sbuild.dev/distribution/pkg/components/proxy"
	"k8sbuild.dev/distribution/pkg/components/scheduler"
	"k8sbuild.dev/distribution/pkg/manifests"
)

func main() {
	forgetForeignFlags()
	certificates.Register()
	apiserver.Register()
	controllermanager.Register()
	scheduler.Register()
	approver.Register()
	manifests.Register()
	kubelet.Register()
	proxy.Register()
	if err := command().Execute(); err != nil {
		fmt.Fprintf(os.Stderr, "k8s: %v\n", err)
		os.Exit(1)
	}
}

// forgetForeignFlags keeps flags out that are not ours: cobra offers every flag
// of this global set, to which Kubernetes packages add their own when they are
// linked.
func forgetForeignFlags() {
	pflag.CommandLine = pflag.NewFlagSet("k8s", pflag.ContinueOnError)
}
