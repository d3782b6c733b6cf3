// Package kubeletconfig merges kubelet configurations and checks them as the kubelet does when it starts, with the
// line of what is wrong.
package kubeletconfig

import (
	"fmt"
	"net"

	"go.yaml.in/yaml/v3"
	"k8s.io/apimachinery/pkg/runtime/serializer"
	utilfeature "k8s.io/apiserver/pkg/util/feature"
	kubeletconfig "k8s.io/kubernetes/pkg/kubelet/apis/config"
	"k8s.io/kubernetes/pkg/kubelet/apis/config/scheme"
	"k8s.io/kubernetes/pkg/kubelet/apis/config/validation"
)

// File is a file's name, for messages, and its text.
type File struct {
	Name string
	Data []byte
}

// Merge returns the first file with the others over it: mappings are merged, all else is replaced. An exposed kubelet
// asks who calls; another one can be reached by its own container alone.
func Merge(files []File, exposed bool) ([]byte, error) {
	var merged *yaml.Node
	for _, file := range files {
		node, err := parse(file)
		if err != nil {
			return nil, err
		}
		if _, err := decode(file, node); err != nil {
			return nil, err
		}
		merged = over(merged, node)
	}
	text, err := yaml.Marshal(merged)
	if err != nil {
		return nil, fmt.Errorf("writing: %w", err)
	}
	last := files[len(files)-1]
	config, err := decode(File{Name: last.Name, Data: text}, merged)
	if err != nil {
		return nil, err
	}
	return text, check(last, merged, config, exposed)
}

func parse(file File) (*yaml.Node, error) {
	var document yaml.Node
	if err := yaml.Unmarshal(file.Data, &document); err != nil {
		return nil, fmt.Errorf("%s: %w", file.Name, err)
	}
	if len(document.Content) != 1 || document.Content[0].Kind != yaml.MappingNode {
		return nil, fmt.Errorf("%s:1: no mapping", file.Name)
	}
	return document.Content[0], nil
}

// decode reads a configuration strictly, with the kubelet's defaults.
func decode(file File, node *yaml.Node) (*kubeletconfig.KubeletConfiguration, error) {
	_, codecs, err := scheme.NewSchemeAndCodecs(serializer.EnableStrict)
	if err != nil {
		return nil, fmt.Errorf("making the scheme: %w", err)
	}
	object, _, err := codecs.UniversalDecoder().Decode(file.Data, nil, nil)
	if err != nil {
		return nil, located(file, node, err)
	}
	config, ok := object.(*kubeletconfig.KubeletConfiguration)
	if !ok {
		return nil, fmt.Errorf("%s:%d: not a KubeletConfiguration, but %T", file.Name, line(node, "kind"), object)
	}
	return config, nil
}

// check holds a configuration to what the kubelet refuses when it starts, and to what would give the machine away.
func check(file File, node *yaml.Node, config *kubeletconfig.KubeletConfiguration, exposed bool) error {
	if err := validation.ValidateKubeletConfiguration(config, utilfeature.DefaultFeatureGate.DeepCopy()); err != nil {
		return located(file, node, err)
	}
	problem := func(path, text string) error {
		return fmt.Errorf("%s:%d: %s: %s", file.Name, line(node, path), path, text)
	}
	if config.ReadOnlyPort != 0 {
		return problem("readOnlyPort", "must be 0: it answers everybody")
	}
	ip := net.ParseIP(config.Address)
	switch {
	case !exposed && (ip == nil || !ip.IsLoopback()):
		return problem("address", config.Address+": whoever reaches it owns the machine; --expose-kubelet asks for certificates")
	case exposed && config.Authentication.Anonymous.Enabled:
		return problem("authentication.anonymous.enabled", "must be false: the kubelet is exposed")
	case exposed && config.Authentication.X509.ClientCAFile == "":
		return problem("authentication.x509.clientCAFile", "must be set: the kubelet is exposed")
	}
	return nil
}
