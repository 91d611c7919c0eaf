package org.edgekd.core;

import static org.junit.Assert.assertEquals;
import static org.junit.Assert.assertThrows;
import static org.junit.Assert.assertTrue;

import java.io.File;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.file.Files;
import org.junit.Rule;
import org.junit.Test;
import org.junit.rules.TemporaryFolder;

/** Files of a folder, and none outside. */
public final class FolderFilesTest {
    @Rule
    public final TemporaryFolder root = new TemporaryFolder();

    private FolderFiles files() throws IOException {
        File folder = new File(root.getRoot(), "job");
        new File(folder, "golden").mkdirs();
        Files.write(new File(folder, "golden/0.png").toPath(), new byte[] {1, 2, 3});
        Files.write(new File(root.getRoot(), "secret").toPath(), new byte[] {9});
        Files.write(new File(root.getRoot(), "job2").toPath(), new byte[] {9});
        return new FolderFiles(folder);
    }

    @Test
    public void filesAreReadAndMapped() throws IOException {
        ByteBuffer mapped = files().map("golden/0.png");
        assertTrue(mapped.isDirect());
        assertEquals(3, mapped.remaining());
        assertEquals(2, mapped.get(1));
        assertEquals(Hash.sha256(new byte[] {1, 2, 3}), Hash.sha256(files().open("golden/0.png")));
        assertEquals(Hash.sha256(new byte[] {1, 2, 3}), Hash.sha256(mapped));
    }

    @Test
    public void namesThatLeaveAreRefused() throws IOException {
        FolderFiles files = files();
        String[] names = {
            "../secret", "golden/../../secret", "/etc/hostname", "", ".", "..", "golden", "golden/", "golden//0.png",
            "./golden/0.png", "golden\\0.png", "golden/0.png\0", "../job2", "missing"
        };
        for (String name : names) {
            assertThrows(name, IOException.class, () -> files.open(name));
            assertThrows(name, IOException.class, () -> files.map(name));
        }
    }

    @Test
    public void linksThatLeaveAreRefused() throws IOException {
        FolderFiles files = files();
        File folder = new File(root.getRoot(), "job");
        Files.createSymbolicLink(new File(folder, "out").toPath(), new File(root.getRoot(), "secret").toPath());
        Files.createSymbolicLink(new File(folder, "up").toPath(), root.getRoot().toPath());
        Files.createSymbolicLink(new File(folder, "in").toPath(), new File(folder, "golden/0.png").toPath());
        assertThrows(IOException.class, () -> files.open("out"));
        assertThrows(IOException.class, () -> files.open("up/secret"));
        assertEquals(3, files.map("in").remaining());
    }
}
