package authz

import (
	"context"

	"google.golang.org/grpc/codes"
	healthv1 "google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/status"
)

// checkService is the full name of the service whose health can be asked, beside the server's own, which is empty.
const checkService = "envoy.service.auth.v3.Authorization"

// healthService is the gRPC health protocol: serving once there is a configuration to decide by.
type healthService struct {
	healthv1.UnimplementedHealthServer
	service *Service
}

// Check tells the health now.
func (h healthService) Check(_ context.Context, request *healthv1.HealthCheckRequest) (*healthv1.HealthCheckResponse, error) {
	if name := request.GetService(); name != "" && name != checkService {
		return nil, status.Error(codes.NotFound, "unknown service")
	}
	return &healthv1.HealthCheckResponse{Status: h.status()}, nil
}

// Watch tells the health now and each time that it changes, which is once at most, until the call ends.
func (h healthService) Watch(request *healthv1.HealthCheckRequest, stream healthv1.Health_WatchServer) error {
	now, known := h.service.view.Load(), request.GetService() == "" || request.GetService() == checkService
	state := healthv1.HealthCheckResponse_SERVICE_UNKNOWN
	if known {
		state = h.status()
	}
	if err := stream.Send(&healthv1.HealthCheckResponse{Status: state}); err != nil {
		return err
	}
	if state == healthv1.HealthCheckResponse_NOT_SERVING {
		select {
		case <-stream.Context().Done():
			return status.FromContextError(stream.Context().Err()).Err()
		case <-now.superseded:
		}
		if err := stream.Send(&healthv1.HealthCheckResponse{Status: healthv1.HealthCheckResponse_SERVING}); err != nil {
			return err
		}
	}
	<-stream.Context().Done()
	return status.FromContextError(stream.Context().Err()).Err()
}

func (h healthService) status() healthv1.HealthCheckResponse_ServingStatus {
	if h.service.Ready() {
		return healthv1.HealthCheckResponse_SERVING
	}
	return healthv1.HealthCheckResponse_NOT_SERVING
}
