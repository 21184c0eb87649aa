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

	"google.golang.org/protobuf/types/known/durationpb"

	"example.com/accounts"
	pb "example.com/accounts/gen/instagram/accounts/v1"
)

const (
	// The account's owner in your system: a tenant, a shop. Give it in every call.
	owner = "demo"
	scope = "instagram_business_content_publish"
	// Maximum time of one request to Instagram.
	timeout = 20 * time.Second
	// Maximum number of looks at a picture that Instagram still processes, a second apart.
	looks = 60
)

var (
	// In production https://graph.instagram.com; the sandbox is the person's browser here, too.
	sandbox = accounts.Env("SANDBOX_URL", "http://127.0.0.1:8090")
	person  = accounts.Env("SANDBOX_ACCOUNT", "mira.paints")
	picture = accounts.Env("PICTURE_URL", "https://shop.example/bread.jpg")

	// Follows no redirect: where Instagram sends the browser is what we want to know.
	browser = &http.Client{
		Timeout:       timeout,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
)

func main() {
	log.SetFlags(0)
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	flag.Parse()
	if err := run(ctx, flag.Arg(0)); err != nil {
		log.Fatal(accounts.Explain(err))
	}
}

func run(ctx context.Context, accountID string) error {
	conn, err := accounts.Connect()
	if err != nil {
		return err
	}
	defer conn.Close()
	service := pb.NewInstagramAccountServiceClient(conn)

	if accountID == "" {
		if accountID, err = link(ctx, service); err != nil {
			return err
		}
	}
	err = publishAs(ctx, service, accountID)
	if info, _ := accounts.Details(err); info.GetReason() == "REAUTHORIZATION_REQUIRED" {
		// The token is dead. Only the person can help: in a product, tell them, and send them to this address.
		begun, beginErr := accounts.Call(ctx, service.BeginLink, beginLink(accountID, rand.Text()))
		if beginErr != nil {
			return beginErr
		}
		return fmt.Errorf("%w; the person must consent again: %s", err, begun.GetAuthorizationUrl())
	}
	return err
}

// link lets a person consent, and answers the id under which the account is kept from now on.
func link(ctx context.Context, service pb.InstagramAccountServiceClient) (string, error) {
	// Ties the link to the browser session that began it: in a product a hash of its cookie.
	session := rand.Text()
	begun, err := accounts.Call(ctx, service.BeginLink, beginLink("", session))
	if err != nil {
		return "", err
	}
	returned, err := consent(ctx, begun.GetAuthorizationUrl())
	if err != nil {
		return "", err
	}
	linked, err := accounts.Call(ctx, service.Link, &pb.LinkRequest{
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
func publishAs(ctx context.Context, service pb.InstagramAccountServiceClient, accountID string) error {
	err := fetchAndPublish(ctx, service, accountID)
	var refusal *graphError
	if !errors.As(err, &refusal) || refusal.Code != 190 {
		return err
	}
	refresh := &pb.RefreshRequest{AccountId: accountID, Owner: new(owner)}
	if _, err := accounts.Call(ctx, service.Refresh, refresh); err != nil {
		return err
	}
	return fetchAndPublish(ctx, service, accountID)
}

func fetchAndPublish(ctx context.Context, service pb.InstagramAccountServiceClient, accountID string) error {
	// Ask whenever you need the token, keep it for an hour at most, and print it nowhere.
	token, err := accounts.Call(ctx, service.FetchAccessToken, &pb.FetchAccessTokenRequest{
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
			if err := accounts.Sleep(ctx, time.Second); err != nil {
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
