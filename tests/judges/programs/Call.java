// Java's HTTPS client as its documentation shows it: java Call.java URL

import java.net.URI;

public class Call {
    public static void main(String[] words) throws Exception {
        URI.create(words[0]).toURL().openConnection().getInputStream().readAllBytes();
    }
}
