package main

import (
	"fmt"
	"os"

	"github.com/hashicorp/go-hclog"
	"google.golang.org/grpc/grpclog"
)

// routeGRPCLog sends gRPC's own log to ours. What it calls information is of interest to its developers alone.
func routeGRPCLog(logger hclog.Logger) { grpclog.SetLoggerV2(grpcLogger{logger.Named("grpc")}) }

// grpcLogger is a grpclog.LoggerV2.
type grpcLogger struct {
	logger hclog.Logger
}

func (l grpcLogger) Info(args ...any)                 { l.logger.Trace(fmt.Sprint(args...)) }
func (l grpcLogger) Infoln(args ...any)               { l.logger.Trace(fmt.Sprint(args...)) }
func (l grpcLogger) Infof(format string, args ...any) { l.logger.Trace(fmt.Sprintf(format, args...)) }
func (l grpcLogger) Warning(args ...any)              { l.logger.Debug(fmt.Sprint(args...)) }
func (l grpcLogger) Warningln(args ...any)            { l.logger.Debug(fmt.Sprint(args...)) }
func (l grpcLogger) Warningf(format string, args ...any) {
	l.logger.Debug(fmt.Sprintf(format, args...))
}
func (l grpcLogger) Error(args ...any)                 { l.logger.Error(fmt.Sprint(args...)) }
func (l grpcLogger) Errorln(args ...any)               { l.logger.Error(fmt.Sprint(args...)) }
func (l grpcLogger) Errorf(format string, args ...any) { l.logger.Error(fmt.Sprintf(format, args...)) }
func (l grpcLogger) Fatal(args ...any)                 { l.fatal(fmt.Sprint(args...)) }
func (l grpcLogger) Fatalln(args ...any)               { l.fatal(fmt.Sprint(args...)) }
func (l grpcLogger) Fatalf(format string, args ...any) { l.fatal(fmt.Sprintf(format, args...)) }

// V keeps gRPC from formatting what nobody will read.
func (l grpcLogger) V(level int) bool { return level == 0 && l.logger.IsTrace() }

func (l grpcLogger) fatal(message string) {
	l.logger.Error(message)
	os.Exit(exitFailed) //nolint:forbidigo // gRPC relies on it (grpclog.LoggerV2.Fatal)
}
