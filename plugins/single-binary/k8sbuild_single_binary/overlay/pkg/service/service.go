// Package service runs the components of the process: it starts them one after
// the other, waits until each is ready, stops them in reverse order, and turns
// the failure of one into an orderly stop of all.
//
// It imports no Kubernetes package, so that its tests run in seconds.
package service

import "context"

// Service is one component of the process.
//
// A Service is started at most once, except behind a Restarter, which makes a
// new one for every term.
type Service interface {
	// Name is the component's name in logs and errors, for example "kube-apiserver".
	Name() string
	// Start returns when the component runs, not when it is ready. The end of
	// ctx asks for an orderly stop and outlives the call.
	Start(ctx context.Context) error
	// Ready is nil when the component does its work. The manager polls it.
	Ready(ctx context.Context) error
	// Stop ends the component in order and returns when it has ended or ctx is
	// over. ErrAbandoned is no failure.
	Stop(ctx context.Context) error
	// Failed receives one error if the component ends by itself.
	Failed() <-chan error
}

// Living is what a service also is whose standstill is a reason to end the
// process and begin anew.
type Living interface {
	// Alive is nil when the component still moves. It is asked once all
	// components have been ready.
	Alive(ctx context.Context) error
}
