package kubeletconfig

import (
	"fmt"

	v1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/serializer"
)

// PodImages returns the images that a static pod needs.
func PodImages(file File) ([]string, error) {
	node, err := parse(file)
	if err != nil {
		return nil, err
	}
	scheme := runtime.NewScheme()
	if err := v1.AddToScheme(scheme); err != nil {
		return nil, fmt.Errorf("making the scheme: %w", err)
	}
	codecs := serializer.NewCodecFactory(scheme, serializer.EnableStrict)
	object, _, err := codecs.UniversalDeserializer().Decode(file.Data, nil, nil)
	if err != nil {
		return nil, located(file, node, err)
	}
	pod, ok := object.(*v1.Pod)
	if !ok {
		return nil, fmt.Errorf("%s:%d: a static pod must be a Pod, not a %s", file.Name, line(node, "kind"),
			object.GetObjectKind().GroupVersionKind().Kind)
	}
	var images []string
	for _, list := range [][]v1.Container{pod.Spec.InitContainers, pod.Spec.Containers} {
		for _, container := range list {
			images = append(images, container.Image)
		}
	}
	if len(images) == 0 {
		return nil, fmt.Errorf("%s:%d: no container", file.Name, max(1, line(node, "spec")))
	}
	return images, nil
}
