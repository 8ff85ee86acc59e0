// Package expiry knows what ends when: the certificates that gateways met, our own, the authorities that vouch for them,
// revocation lists and manifests, in one list by urgency. Watcher tells of each in time: to the log, and to a webhook.
//
// It renews nothing and decides nothing.
package expiry
