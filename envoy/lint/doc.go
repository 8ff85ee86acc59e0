// Package lint proves on generated resources, before they ship, that no request can pass the authorization filter by: that
// the filter stands where it must, fails closed, is switched off by nothing, and learns from every route where it stands.
//
// It looks at the messages alone and knows nothing of the configuration that they were made from, so that a mistake in
// package translate, or in what is added to it one day, is found here. What it does not know it does not accept. It
// changes nothing and never fails: no finding means that the resources may ship.
package lint
