// A mutual-TLS server of Go, as its documentation shows it: main DIR [CLIENTS [VERSION [STATUS]]] says "serving PORT".
// A client of Go too: main call URL CA DIR prints the body or the error; "-" for no CA, and for no identity.

package main

import (
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"os"
	"strconv"
)

func call(url, trust, dir string) {
	conf := &tls.Config{}
	if trust != "-" {
		pem, _ := os.ReadFile(trust)
		conf.RootCAs = x509.NewCertPool()
		conf.RootCAs.AppendCertsFromPEM(pem)
	}
	if dir != "-" {
		cert, err := tls.LoadX509KeyPair(dir+"/cert.pem", dir+"/key.pem")
		if err != nil {
			log.Fatal(err)
		}
		conf.Certificates = []tls.Certificate{cert}
	}
	client := &http.Client{Transport: &http.Transport{TLSClientConfig: conf, ForceAttemptHTTP2: true}}
	answer, err := client.Get(url)
	if err != nil {
		log.Fatal(err)
	}
	body, err := io.ReadAll(answer.Body)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Printf("%s\n%s\n", answer.Status, body)
}

func main() {
	if os.Args[1] == "call" {
		call(os.Args[2], os.Args[3], os.Args[4])
		return
	}
	given := append(append([]string{}, os.Args[1:]...), make([]string, 4)...)
	dir, clients, version := given[0], given[1], given[2]
	status, err := strconv.Atoi(given[3])
	if err != nil {
		status = http.StatusOK
	}
	pool := x509.NewCertPool()
	pem, _ := os.ReadFile(dir + "/ca.pem")
	pool.AppendCertsFromPEM(pem)
	cert, err := tls.LoadX509KeyPair(dir+"/cert.pem", dir+"/key.pem")
	if err != nil {
		log.Fatal(err)
	}
	auth := map[string]tls.ClientAuthType{
		"":         tls.RequireAndVerifyClientCert,
		"required": tls.RequireAndVerifyClientCert,
		"optional": tls.VerifyClientCertIfGiven,
		"none":     tls.NoClientCert,
		"any":      tls.RequireAnyClientCert,
	}
	conf := &tls.Config{Certificates: []tls.Certificate{cert}, ClientCAs: pool, ClientAuth: auth[clients]}
	switch version {
	case "TLSv1.2":
		conf.MaxVersion = tls.VersionTLS12
	case "TLSv1.3":
		conf.MinVersion = tls.VersionTLS13
	}
	l, _ := net.Listen("tcp", "127.0.0.1:0")
	fmt.Printf("serving %d\n", l.Addr().(*net.TCPAddr).Port)
	http.HandleFunc("/", func(w http.ResponseWriter, r *http.Request) {
		w.WriteHeader(status)
		io.WriteString(w, "ok")
	})
	s := &http.Server{TLSConfig: conf}
	s.ServeTLS(l, "", "")
}
