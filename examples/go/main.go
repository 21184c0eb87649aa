// Links an Instagram account, fetches its token, and publishes a picture with it. With an account id as argument
// the link is skipped, as in a product, where it happens once.
package main

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"log"
	"net/http"
	"net/url"
	"os"
	"os/signal"
	"slices"
	"time"

	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/durationpb"

	pb "example.com/publish/gen/instagram/accounts/v1"
)

//go:generate buf generate

const (
	// The account's owner in your system: a tenant, a shop. Give it in every call.
	owner = "demo"
	scope = "instagram_business_content_publish"
	// Maximum time of one call, with all its repetitions by gRPC.
	deadline = 20 * time.Second
	// Maximum number of tries of a call, and maximum time between two, when the service says when to come back.
	attempts      = 3
	maxRetryDelay = 10 * time.Second
	// Maximum number of looks at a picture that Instagram still processes, a second apart.
	looks = 60
)

// Every method may be called again, so gRPC itself repeats what met a service that was away for a moment.
const serviceConfig = `{"methodConfig": [{
	"name": [{"service": "instagram.accounts.v1.InstagramAccountService"}],
	"waitForReady": true,
	"retryPolicy": {
		"maxAttempts": 4, "initialBackoff": "0.2s", "maxBackoff": "2s", "backoffMultiplier": 2,
		"retryableStatusCodes": ["UNAVAILABLE"]
	}
}]}`

var (
	address = env("ACCOUNTS_ADDRESS", "127.0.0.1:50051")
	// In production https://graph.instagram.com; the sandbox is the person's browser here, too.
	sandbox = env("SANDBOX_URL", "http://127.0.0.1:8090")
	person  = env("SANDBOX_ACCOUNT", "mira.paints")
	picture = env("PICTURE_URL", "https://shop.example/bread.jpg")

	// Follows no redirect: where Instagram sends the browser is what we want to know.
	browser = &http.Client{
		Timeout:       deadline,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
)

func main() {
	log.SetFlags(0)
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	flag.Parse()
	if err := run(ctx, flag.Arg(0)); err != nil {
		log.Fatal(explain(err))
	}
}

func run(ctx context.Context, accountID string) error {
	// In production credentials.NewTLS, and your bearer by grpc.WithPerRPCCredentials.
	conn, err := grpc.NewClient(address, grpc.WithTransportCredentials(insecure.NewCredentials()),
		grpc.WithDefaultServiceConfig(serviceConfig))
	if err != nil {
		return err
	}
	defer conn.Close()
	accounts := pb.NewInstagramAccountServiceClient(conn)

	if accountID == "" {
		if accountID, err = link(ctx, accounts); err != nil {
			return err
		}
	}
	err = publishAs(ctx, accounts, accountID)
	if info, _ := details(err); info.GetReason() == "REAUTHORIZATION_REQUIRED" {
		// The token is dead. Only the person can help: in a product, tell them, and send them to this address.
		begun, beginErr := call(ctx, accounts.BeginLink, beginLink(accountID, rand.Text()))
		if beginErr != nil {
			return beginErr
		}
		return fmt.Errorf("%w; the person must consent again: %s", err, begun.GetAuthorizationUrl())
	}
	return err
}

// link lets a person consent, and answers the id under which the account is kept from now on.
func link(ctx context.Context, accounts pb.InstagramAccountServiceClient) (string, error) {
	// Ties the link to the browser session that began it: in a product a hash of its cookie.
	session := rand.Text()
	begun, err := call(ctx, accounts.BeginLink, beginLink("", session))
	if err != nil {
		return "", err
	}
	returned, err := consent(ctx, begun.GetAuthorizationUrl())
	if err != nil {
		return "", err
	}
	linked, err := call(ctx, accounts.Link, &pb.LinkRequest{
		AuthorizationResponse: returned, Owner: owner, SessionBinding: session,
	})
	if err != nil {
		return "", err
	}
	if slices.Contains(linked.GetMissingScopes(), scope) {
		return "", fmt.Errorf("the person did not grant %s: explain, and begin another link", scope)
	}
	account := linked.GetAccount()
	fmt.Printf("linked %s as %s\n", account.GetUsername(), account.GetAccountId())
	return account.GetAccountId(), nil
}

func beginLink(accountID, session string) *pb.BeginLinkRequest {
	return &pb.BeginLinkRequest{
		Owner: owner, RedirectUri: sandbox + "/redirect", AccountId: accountID, SessionBinding: session,
	}
}

// consent stands in for the person: a product redirects the browser, and its callback gets the whole URL.
func consent(ctx context.Context, authorizationURL string) (string, error) {
	decision := url.Values{"sandbox_account": {person}, "sandbox_decision": {"allow"}}
	request, err := http.NewRequestWithContext(ctx, "GET", authorizationURL+"&"+decision.Encode(), nil)
	if err != nil {
		return "", err
	}
	answer, err := browser.Do(request)
	if err != nil {
		return "", errors.New("the sandbox does not answer")
	}
	defer answer.Body.Close()
	returned, err := answer.Location()
	if err != nil {
		return "", fmt.Errorf("the consent page answered %s and sent the browser nowhere", answer.Status)
	}
	return returned.String(), nil
}

// publishAs publishes with the account's token. One that Instagram refuses is put to Refresh, which alone can tell
// whether it is dead; if not, the token is asked for again.
func publishAs(ctx context.Context, accounts pb.InstagramAccountServiceClient, accountID string) error {
	err := fetchAndPublish(ctx, accounts, accountID)
	var refusal *graphError
	if !errors.As(err, &refusal) || refusal.Code != 190 {
		return err
	}
	refresh := &pb.RefreshRequest{AccountId: accountID, Owner: new(owner)}
	if _, err := call(ctx, accounts.Refresh, refresh); err != nil {
		return err
	}
	return fetchAndPublish(ctx, accounts, accountID)
}

func fetchAndPublish(ctx context.Context, accounts pb.InstagramAccountServiceClient, accountID string) error {
	// Ask whenever you need the token, keep it for an hour at most, and print it nowhere.
	token, err := call(ctx, accounts.FetchAccessToken, &pb.FetchAccessTokenRequest{
		AccountId: accountID, Owner: new(owner), MinTtl: durationpb.New(time.Hour), Purpose: "publish a picture",
	})
	if err != nil {
		return err
	}
	post, err := publish(ctx, token)
	if err != nil {
		return err
	}
	fmt.Printf("published %s as %s\n", post, token.GetProfessionalAccountId())
	return nil
}

// publish makes a container for the picture, waits until Instagram has processed it, and publishes it.
func publish(ctx context.Context, token *pb.FetchAccessTokenResponse) (string, error) {
	id := token.GetProfessionalAccountId()
	announced := url.Values{"image_url": {picture}, "caption": {"Fresh."}}
	container, err := instagram(ctx, token, "POST", id+"/media", announced)
	if err != nil {
		return "", err
	}
	for range looks {
		look, err := instagram(ctx, token, "GET", container.ID, url.Values{"fields": {"status_code"}})
		if err != nil {
			return "", err
		}
		switch look.StatusCode {
		case "FINISHED":
			// Not to be repeated when the answer is lost: the container's status tells whether it was published.
			finished := url.Values{"creation_id": {container.ID}}
			post, err := instagram(ctx, token, "POST", id+"/media_publish", finished)
			return post.ID, err
		case "IN_PROGRESS":
			if err := sleep(ctx, time.Second); err != nil {
				return "", err
			}
		default:
			return "", fmt.Errorf("instagram could not take the picture: %s", look.StatusCode)
		}
	}
	return "", errors.New("instagram takes too long for the picture")
}

type graphAnswer struct {
	ID         string      `json:"id"`
	StatusCode string      `json:"status_code"`
	Error      *graphError `json:"error"`
}

type graphError struct {
	Code    int    `json:"code"`
	Message string `json:"message"`
}

func (e *graphError) Error() string {
	return fmt.Sprintf("instagram refused with code %d: %s", e.Code, e.Message)
}

// instagram makes one call. The token goes into a header: a URL ends up in logs and in error texts.
func instagram(
	ctx context.Context, token *pb.FetchAccessTokenResponse, method, path string, values url.Values,
) (answer graphAnswer, err error) {
	request, err := http.NewRequestWithContext(ctx, method, sandbox+"/"+path+"?"+values.Encode(), nil)
	if err != nil {
		return answer, err
	}
	request.Header.Set("Authorization", "Bearer "+token.GetAccessToken())
	response, err := browser.Do(request)
	if err != nil {
		return answer, err
	}
	defer response.Body.Close()
	if err = json.NewDecoder(http.MaxBytesReader(nil, response.Body, 1<<20)).Decode(&answer); err != nil {
		return answer, fmt.Errorf("instagram answered %s: %w", response.Status, err)
	}
	if answer.Error != nil {
		return answer, answer.Error
	}
	return answer, nil
}

// call makes one call with a deadline, and again when the service says after which time that may help.
func call[Q, A any](
	ctx context.Context, method func(context.Context, *Q, ...grpc.CallOption) (*A, error), request *Q,
) (*A, error) {
	for attempt := 1; ; attempt++ {
		limited, cancel := context.WithTimeout(ctx, deadline)
		answer, err := method(limited, request)
		cancel()
		_, retry := details(err)
		if err == nil || retry == nil || attempt == attempts || retry.GetRetryDelay().AsDuration() > maxRetryDelay {
			return answer, err
		}
		if err := sleep(ctx, retry.GetRetryDelay().AsDuration()); err != nil {
			return nil, err
		}
	}
}

// details finds what goes with the status of a refused call: the stable reason, and when to come back.
func details(err error) (info *errdetails.ErrorInfo, retry *errdetails.RetryInfo) {
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

// explain puts the stable reason first, and what goes with it last.
func explain(err error) string {
	if info, _ := details(err); info != nil {
		return fmt.Sprintf("%s: %v %v", info.GetReason(), err, info.GetMetadata())
	}
	return err.Error()
}

func sleep(ctx context.Context, span time.Duration) error {
	select {
	case <-time.After(span):
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

func env(name, fallback string) string {
	if value := os.Getenv(name); value != "" {
		return value
	}
	return fallback
}
