// Package material owns references, such as file:server.pem or s3://partners/bundle.pem, and turns them into bytes: it
// parses them, holds them against an allow-list, reads them within a size limit, and says when they may have changed.
// Remote ones are polled in the background, so that no caller ever waits for a network. It also publishes: whole objects,
// each written in one step and under a condition, to files or to whatever implements Objects.
//
// It never judges the bytes and never logs them: what is good, and what stays in force while something is broken, is
// decided by package inventory, which tells what has proved good (Accept) and may ask for it again (LastGood). Amazon's
// protocols are package aws's.
package material
