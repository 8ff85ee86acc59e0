//go:build !linux

package testcloud

import "syscall"

func attributes() *syscall.SysProcAttr { return nil }
