// Package accounts calls the service as every caller should: by its service config, and by what its refusals say.
package accounts

import (
	"context"
	_ "embed"
	"fmt"
	"os"
	"time"

	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/status"
)

//go:generate buf generate
//go:generate cp ../../proto/instagram/accounts/v1/service_config.json gen/

// Maximum number of tries of a call, and maximum time between two, when the service says when to come back.
const (
	attempts      = 3
	maxRetryDelay = 10 * time.Second
)

// Timeouts of the calls, and which of them gRPC itself makes again.
//
//go:embed gen/service_config.json
var serviceConfig string

// Connect connects to the service at ACCOUNTS_ADDRESS, once something is called.
func Connect() (*grpc.ClientConn, error) {
	// In production credentials.NewTLS, and your bearer by grpc.WithPerRPCCredentials.
	return grpc.NewClient(Env("ACCOUNTS_ADDRESS", "127.0.0.1:50051"),
		grpc.WithTransportCredentials(insecure.NewCredentials()), grpc.WithDefaultServiceConfig(serviceConfig))
}

// Call makes one call, and again when the service says after which time that may help.
func Call[Q, A any](
	ctx context.Context, method func(context.Context, *Q, ...grpc.CallOption) (*A, error), request *Q,
) (*A, error) {
	for attempt := 1; ; attempt++ {
		answer, err := method(ctx, request)
		_, retry := Details(err)
		if err == nil || retry == nil || attempt == attempts || retry.GetRetryDelay().AsDuration() > maxRetryDelay {
			return answer, err
		}
		if err := Sleep(ctx, retry.GetRetryDelay().AsDuration()); err != nil {
			return nil, err
		}
	}
}

// Details finds what goes with the status of a refused call: the stable reason, and when to come back.
func Details(err error) (info *errdetails.ErrorInfo, retry *errdetails.RetryInfo) {
	for _, detail := range status.Convert(err).Details() {
		switch detail := detail.(type) {
		case *errdetails.ErrorInfo:
			info = detail
		case *errdetails.RetryInfo:
			retry = detail
		}
	}
	return info, retry
}

// Explain puts the stable reason first, and what goes with it last.
func Explain(err error) string {
	if info, _ := Details(err); info != nil {
		return fmt.Sprintf("%s: %v %v", info.GetReason(), err, info.GetMetadata())
	}
	return err.Error()
}

// Sleep waits, unless the context ends first.
func Sleep(ctx context.Context, span time.Duration) error {
	select {
	case <-time.After(span):
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// Env reads a variable.
func Env(name, fallback string) string {
	if value := os.Getenv(name); value != "" {
		return value
	}
	return fallback
}
