// A mutual-TLS server of Go, as its documentation shows it: main DIR [optional|none] says "serving PORT".
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
	dir := os.Args[1]
	pool := x509.NewCertPool()
	pem, _ := os.ReadFile(dir + "/ca.pem")
	pool.AppendCertsFromPEM(pem)
	cert, err := tls.LoadX509KeyPair(dir+"/cert.pem", dir+"/key.pem")
	if err != nil {
		log.Fatal(err)
	}
	conf := &tls.Config{Certificates: []tls.Certificate{cert}, ClientCAs: pool, ClientAuth: tls.RequireAndVerifyClientCert}
	if len(os.Args) > 2 && os.Args[2] == "optional" {
		conf.ClientAuth = tls.VerifyClientCertIfGiven
	}
	if len(os.Args) > 2 && os.Args[2] == "none" {
		conf.ClientAuth = tls.NoClientCert
	}
	l, _ := net.Listen("tcp", "127.0.0.1:0")
	fmt.Printf("serving %d\n", l.Addr().(*net.TCPAddr).Port)
	http.HandleFunc("/", func(w http.ResponseWriter, r *http.Request) { io.WriteString(w, "ok") })
	s := &http.Server{TLSConfig: conf}
	s.ServeTLS(l, "", "")
}
