// A GCS for tests: fake-gcs-server, and in front of it what its XML API lacks.
//
// obstore writes objects by the XML API (PUT /bucket/object with the condition as a header), which
// fake-gcs-server does not serve (its issue 331). Such a PUT becomes the JSON API's insert with the same
// condition; whether it is met is decided by fake-gcs-server alone.
package main

import (
	"flag"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strconv"
	"strings"

	"github.com/fsouza/fake-gcs-server/fakestorage"
)

func main() {
	address := flag.String("address", "127.0.0.1:0", "where to listen")
	bucket := flag.String("bucket", "hitl", "the bucket to start with")
	flag.Parse()

	listener, err := net.Listen("tcp", *address)
	if err != nil {
		log.Fatal(err)
	}
	server, err := fakestorage.NewServerWithOptions(fakestorage.Options{
		NoListener: true,
		PublicHost: listener.Addr().String(),
	})
	if err != nil {
		log.Fatal(err)
	}
	server.CreateBucketWithOpts(fakestorage.CreateBucketOpts{Name: *bucket})
	log.Fatal(http.Serve(listener, putsAsInserts(server.HTTPHandler())))
}

func putsAsInserts(json http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		bucket, object, found := strings.Cut(strings.TrimPrefix(r.URL.Path, "/"), "/")
		if r.Method != http.MethodPut || !found || r.URL.RawQuery != "" {
			json.ServeHTTP(w, r)
			return
		}
		query := url.Values{"uploadType": {"media"}, "name": {object}}
		if generation := r.Header.Get("x-goog-if-generation-match"); generation != "" {
			query.Set("ifGenerationMatch", generation)
		}
		insert := r.Clone(r.Context())
		insert.Method = http.MethodPost
		insert.URL = &url.URL{Path: "/upload/storage/v1/b/" + bucket + "/o", RawQuery: query.Encode()}

		answer := httptest.NewRecorder()
		json.ServeHTTP(answer, insert)
		if answer.Code == http.StatusOK {
			head := httptest.NewRecorder()
			json.ServeHTTP(head, httptest.NewRequest(http.MethodHead, "http://"+r.Host+r.URL.EscapedPath(), nil))
			w.Header().Set("ETag", head.Header().Get("ETag"))
			w.Header().Set("x-goog-generation", head.Header().Get("x-goog-generation"))
		}
		w.Header().Set("Content-Length", strconv.Itoa(0))
		w.WriteHeader(answer.Code)
	})
}
