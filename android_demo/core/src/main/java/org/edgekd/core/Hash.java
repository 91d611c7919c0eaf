package org.edgekd.core;

import java.io.IOException;
import java.io.InputStream;
import java.nio.ByteBuffer;
import java.security.MessageDigest;
import java.security.NoSuchAlgorithmException;

/** sha256 in hexadecimal digits. */
public final class Hash {
    private Hash() {}

    public static String sha256(byte[] content) {
        return hex(digest().digest(content));
    }

    /** Of a buffer from its position to its limit, which stay. */
    public static String sha256(ByteBuffer content) {
        MessageDigest digest = digest();
        digest.update(content.duplicate());
        return hex(digest.digest());
    }

    /** Of what is left of a stream. */
    public static String sha256(InputStream content) throws IOException {
        MessageDigest digest = digest();
        byte[] piece = new byte[1 << 16];
        for (int count = content.read(piece); count >= 0; count = content.read(piece)) {
            digest.update(piece, 0, count);
        }
        return hex(digest.digest());
    }

    private static MessageDigest digest() {
        try {
            return MessageDigest.getInstance("SHA-256");
        } catch (NoSuchAlgorithmException e) {
            throw new IllegalStateException(e); // every Java has it
        }
    }

    private static String hex(byte[] digest) {
        StringBuilder text = new StringBuilder();
        for (byte b : digest) {
            text.append(Character.forDigit(b >> 4 & 15, 16)).append(Character.forDigit(b & 15, 16));
        }
        return text.toString();
    }
}
