// Package cache decides what each proxy is sent, and remembers what each was sent, accepted and refused.
//
// It is go-control-plane's cache.ConfigWatcher for incremental (delta) ADS, and replaces that project's own caches because
// those count a refused response as delivered: Envoy drops the good secrets, routes and endpoints of a response together
// with a bad one, and would never be sent them again. Here everything that stood in a refused response is sent once more,
// one resource at a time, so that the good ones arrive and the bad one is known by name.
//
// It never looks into a resource, and it knows proxies only by the node that package node has put into each message.
package cache
