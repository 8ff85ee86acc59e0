// Package material owns references, such as file:server.pem or env:SERVER_KEY, and turns them into bytes: it parses them,
// holds them against an allow-list, reads them within a size limit, and says when they may have changed.
//
// It never judges the bytes, never keeps them, and never logs them: what is good, and what stays in force while
// something is broken, is decided by package inventory.
package material
