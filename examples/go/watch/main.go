// Follows what happens to all accounts: lists them, then prints each event once, through restarts of the service and
// of itself. The service keeps its progress under the name of a consumer, the argument.
package main

import (
	"context"
	"errors"
	"fmt"
	"log"
	"math/rand/v2"
	"os"
	"os/signal"
	"slices"
	"strings"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"example.com/accounts"
	pb "example.com/accounts/gen/instagram/accounts/v1"
)

const (
	// Back-off before the next stream: it doubles with each stream that ends before it was healthy.
	minDelay = 200 * time.Millisecond
	maxDelay = 10 * time.Second
	// Time that a stream must last to be healthy. A first message alone is no sign of health: it comes at once.
	healthyAfter = 30 * time.Second
	// Maximum time without a message. The service sends one at least every 15 seconds.
	maxSilence = 20 * time.Second
)

// Refusals that no further try can help.
var final = []codes.Code{codes.InvalidArgument, codes.PermissionDenied, codes.Unauthenticated}

func main() {
	log.SetFlags(0)
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	conn, err := accounts.Connect()
	if err != nil {
		log.Fatal(err)
	}
	defer conn.Close()
	consumer := "go-example"
	if len(os.Args) > 1 {
		consumer = os.Args[1]
	}
	f := follower{
		conn: conn, service: pb.NewInstagramAccountServiceClient(conn), consumer: consumer,
		handled: map[string]bool{},
	}
	if err := f.follow(ctx); ctx.Err() == nil {
		log.Fatal(accounts.Explain(err))
	}
}

type follower struct {
	conn     *grpc.ClientConn
	service  pb.InstagramAccountServiceClient
	consumer string
	// Whether all accounts are to be listed before the next stream.
	expired bool
	// Where they were listed, until a stream has begun there. From then on the service knows where to go on.
	listed string
	// Number of streams that ended since the last healthy one.
	failures int
	// Ids of the events that were handled since the last commit: they may come again.
	handled map[string]bool
}

// follow opens one stream after the other, and returns when another one cannot help.
func (f *follower) follow(ctx context.Context) error {
	for {
		err := f.listAndWatch(ctx)
		if slices.Contains(final, status.Code(err)) {
			return err
		}
		info, retry := accounts.Details(err)
		then := "going on"
		if f.expired = f.expired || info.GetReason() == "CURSOR_EXPIRED"; f.expired {
			then = "listing all accounts"
		}
		log.Printf("%s; %s", accounts.Explain(err), then)
		delay := max(backoff(f.failures), retry.GetRetryDelay().AsDuration())
		if err := accounts.Sleep(ctx, delay); err != nil {
			return err
		}
		f.failures++
	}
}

func (f *follower) listAndWatch(ctx context.Context) error {
	if f.expired {
		if err := f.list(ctx); err != nil {
			return err
		}
	}
	return f.watch(ctx)
}

// backoff is a span of which half is chance: nobody comes back at the same moment.
func backoff(failures int) time.Duration {
	span := min(maxDelay, minDelay<<min(failures, 10))
	return span/2 + rand.N(span/2)
}

// list reads all accounts. The cursor is older than the first page, so no change between list and stream is missed.
func (f *follower) list(ctx context.Context) error {
	request, cursor := &pb.ListRequest{}, ""
	for {
		page, err := accounts.Call(ctx, f.service.List, request)
		if err != nil {
			return err
		}
		if request.PageToken == "" {
			cursor = page.GetWatchCursor()
		}
		for _, account := range page.GetAccounts() {
			// In a product: put it into your copy. What your copy has and no page shows is gone.
			fmt.Println("LISTED", account.GetAccountId(), "-", account.GetRevision())
		}
		if request.PageToken = page.GetNextPageToken(); request.PageToken == "" {
			f.listed, f.expired = cursor, false
			return nil
		}
	}
}

// watch takes one stream's messages until it ends. A cursor is committed once all before it is handled.
func (f *follower) watch(ctx context.Context) error {
	// What gRPC itself would wait before it connects again is ours to choose.
	f.conn.ResetConnectBackoff()
	request := &pb.WatchRequest{Consumer: f.consumer}
	if f.listed != "" {
		request.From = &pb.WatchRequest_After{After: f.listed}
	}
	watching, stop := context.WithCancel(ctx)
	defer stop()
	silence := time.AfterFunc(maxSilence, stop)
	defer silence.Stop()
	begun := time.Now()
	stream, err := f.service.Watch(watching, request)
	if err != nil {
		return err
	}
	for {
		silence.Reset(maxSilence)
		message, err := stream.Recv()
		if !silence.Stop() && ctx.Err() == nil {
			return errors.New("the stream fell silent")
		}
		if err != nil {
			return err
		}
		if time.Since(begun) >= healthyAfter {
			f.failures = 0
		}
		if message.GetCursor() == "" {
			// A heartbeat while another instance holds the consumer.
			continue
		}
		f.listed = ""
		for _, event := range message.GetEvents() {
			f.handle(event)
		}
		if len(message.GetEvents()) > 0 {
			done := &pb.CommitWatchRequest{Consumer: f.consumer, Cursor: message.GetCursor()}
			if _, err := accounts.Call(ctx, f.service.CommitWatch, done); err != nil {
				return err
			}
			clear(f.handled)
		}
	}
}

// handle prints an event once. In a product its id is stored with what it causes: this memory ends with the process.
func (f *follower) handle(event *pb.Event) {
	kind, known := pb.EventKind_name[int32(event.GetKind())]
	if !known || event.GetKind() == pb.EventKind_EVENT_KIND_UNSPECIFIED || f.handled[event.GetEventId()] {
		return
	}
	fmt.Println(strings.TrimPrefix(kind, "EVENT_KIND_"), event.GetAccountId(), event.GetEventId(), event.GetRevision())
	f.handled[event.GetEventId()] = true
}
