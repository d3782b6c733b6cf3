// Package boot holds the tests that boot the built server. They run where
// K8S_BINARY names it; those with an external etcd also need ETCD_BINARY.
package boot
