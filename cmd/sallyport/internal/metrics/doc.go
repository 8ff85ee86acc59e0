// Package metrics counts what a server does, for Prometheus: decisions and refusals as their records pass by, and the rest
// (queues, what ends when, what is wrong with material) looked up when somebody asks.
//
// No label holds a caller's text: gateways and listeners are the configuration's, reasons are authz/reason's, and names
// are those of resources. It decides nothing.
package metrics
