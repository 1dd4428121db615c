/* Java's TLS (JSSE) as client and server, driven by lines on standard input; see ../speaking.py. */

import java.io.BufferedReader;
import java.io.FileInputStream;
import java.io.IOException;
import java.io.InputStream;
import java.io.InputStreamReader;
import java.net.InetAddress;
import java.net.Socket;
import java.nio.charset.StandardCharsets;
import java.security.KeyStore;
import java.security.MessageDigest;
import java.security.Principal;
import java.security.PrivateKey;
import java.security.cert.Certificate;
import java.security.cert.CertificateFactory;
import java.security.cert.X509Certificate;
import java.util.HexFormat;
import java.util.concurrent.BlockingQueue;
import java.util.concurrent.LinkedBlockingQueue;
import java.util.concurrent.TimeUnit;
import javax.net.ssl.KeyManager;
import javax.net.ssl.KeyManagerFactory;
import javax.net.ssl.SSLContext;
import javax.net.ssl.SSLParameters;
import javax.net.ssl.SSLServerSocket;
import javax.net.ssl.SSLSocket;
import javax.net.ssl.TrustManagerFactory;
import javax.net.ssl.X509ExtendedKeyManager;
import javax.net.ssl.X509KeyManager;

public final class Ends {
    private static final char[] PASSPHRASE = "judges".toCharArray();
    private static final byte[] REQUEST =
            "GET /whoami HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n".getBytes(StandardCharsets.US_ASCII);
    private static final BlockingQueue<String> failures = new LinkedBlockingQueue<>();

    public static void main(String[] arguments) throws Exception {
        BufferedReader lines = new BufferedReader(new InputStreamReader(System.in, StandardCharsets.UTF_8));
        for (String line; (line = lines.readLine()) != null; ) {
            String[] words = line.split("\t", -1);
            String reply;
            try {
                reply = switch (words[0]) {
                    case "serve" -> "serving\t" + serve(words[1], words[2], words[3]);
                    case "call" -> call(Integer.parseInt(words[1]), words[2], words[3], words[4], words[5]);
                    case "failure" -> failure();
                    default -> "failed\tno such command: " + words[0];
                };
            } catch (Exception fault) {
                reply = "failed\t" + told(fault);
            }
            System.out.println(reply);
        }
        System.exit(0);
    }

    private static String call(int port, String version, String identity, String trust, String manner)
            throws Exception {
        SSLContext context = context(identity, trust, manner);
        try (Socket plain = new Socket(InetAddress.getLoopbackAddress(), port);
                SSLSocket socket =
                        (SSLSocket) context.getSocketFactory().createSocket(plain, "localhost", port, true)) {
            socket.setSoTimeout(10_000);
            socket.setEnabledProtocols(new String[] {version});
            SSLParameters parameters = socket.getSSLParameters();
            parameters.setEndpointIdentificationAlgorithm("HTTPS");
            socket.setSSLParameters(parameters);
            socket.getOutputStream().write(REQUEST);
            String answer = new String(socket.getInputStream().readAllBytes(), StandardCharsets.UTF_8);
            int head = answer.indexOf("\r\n\r\n");
            return head < 0
                    ? "failed\tended without an answer"
                    : "answered\t" + socket.getSession().getProtocol() + "\t" + answer.substring(head + 4);
        }
    }

    private static int serve(String version, String identity, String trust) throws Exception {
        SSLServerSocket listener = (SSLServerSocket) context(identity, trust, "insist")
                .getServerSocketFactory().createServerSocket(0, 64, InetAddress.getLoopbackAddress());
        listener.setEnabledProtocols(new String[] {version});
        listener.setNeedClientAuth(true);
        Thread acceptor = new Thread(() -> {
            while (true) {
                try {
                    SSLSocket socket = (SSLSocket) listener.accept();
                    Thread one = new Thread(() -> answer(socket));
                    one.setDaemon(true);
                    one.start();
                } catch (IOException fault) {
                    failures.add(told(fault));
                    return;
                }
            }
        });
        acceptor.setDaemon(true);
        acceptor.start();
        return listener.getLocalPort();
    }

    private static void answer(SSLSocket socket) {
        try (socket) {
            socket.setSoTimeout(10_000);
            InputStream in = socket.getInputStream();
            StringBuilder head = new StringBuilder();
            while (head.indexOf("\r\n\r\n") < 0) {
                int one = in.read();
                if (one < 0) {
                    throw new IOException("ended without a request");
                }
                head.append((char) one);
            }
            Certificate leaf = socket.getSession().getPeerCertificates()[0];
            byte[] digest = MessageDigest.getInstance("SHA-256").digest(leaf.getEncoded());
            String body = "{\"client\": \"" + HexFormat.of().formatHex(digest) + "\", \"version\": \""
                    + socket.getSession().getProtocol() + "\"}";
            socket.getOutputStream().write(("HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: "
                    + body.length() + "\r\n\r\n" + body).getBytes(StandardCharsets.US_ASCII));
        } catch (Exception fault) {
            failures.add(told(fault));
        }
    }

    private static String failure() throws InterruptedException {
        String first = failures.poll(10, TimeUnit.SECONDS);
        return first == null ? "failed\tnothing has failed" : "failure\t" + first;
    }

    private static SSLContext context(String identity, String trust, String manner) throws Exception {
        KeyManager[] keys = new KeyManager[0];
        if (!identity.equals("-")) {
            KeyStore store = KeyStore.getInstance("PKCS12");
            try (InputStream in = new FileInputStream(identity + "/identity.p12")) {
                store.load(in, PASSPHRASE);
            }
            KeyManagerFactory factory = KeyManagerFactory.getInstance(KeyManagerFactory.getDefaultAlgorithm());
            factory.init(store, PASSPHRASE);
            keys = factory.getKeyManagers();
            if (manner.equals("insist")) {
                keys = new KeyManager[] {new Insisting((X509KeyManager) keys[0], store.aliases().nextElement())};
            }
        }
        KeyStore anchors = KeyStore.getInstance("PKCS12");
        anchors.load(null, null);
        try (InputStream in = new FileInputStream(trust)) {
            int count = 0;
            for (Certificate one : CertificateFactory.getInstance("X.509").generateCertificates(in)) {
                anchors.setCertificateEntry("anchor" + count++, one);
            }
        }
        TrustManagerFactory trusting = TrustManagerFactory.getInstance(TrustManagerFactory.getDefaultAlgorithm());
        trusting.init(anchors);
        SSLContext context = SSLContext.getInstance("TLS");
        context.init(keys, trusting.getTrustManagers(), null);
        return context;
    }

    private static String told(Throwable fault) {
        return (fault.getClass().getSimpleName() + ": " + fault.getMessage()).replaceAll("\\s+", " ");
    }

    /** Presents its one certificate whatever authorities the other side names; Java by itself withholds. */
    private static final class Insisting extends X509ExtendedKeyManager {
        private final X509KeyManager inner;
        private final String alias;

        Insisting(X509KeyManager inner, String alias) {
            this.inner = inner;
            this.alias = alias;
        }

        @Override
        public String[] getClientAliases(String type, Principal[] issuers) {
            return new String[] {alias};
        }

        @Override
        public String chooseClientAlias(String[] types, Principal[] issuers, Socket socket) {
            return alias;
        }

        @Override
        public String[] getServerAliases(String type, Principal[] issuers) {
            return inner.getServerAliases(type, issuers);
        }

        @Override
        public String chooseServerAlias(String type, Principal[] issuers, Socket socket) {
            return inner.chooseServerAlias(type, issuers, socket);
        }

        @Override
        public X509Certificate[] getCertificateChain(String name) {
            return inner.getCertificateChain(name);
        }

        @Override
        public PrivateKey getPrivateKey(String name) {
            return inner.getPrivateKey(name);
        }
    }
}
