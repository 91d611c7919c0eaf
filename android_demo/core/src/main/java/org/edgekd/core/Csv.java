package org.edgekd.core;

import java.util.ArrayList;
import java.util.List;

/** A row of CSV (RFC 4180) to its fields and back; here a row is one line, and no field has a line break. */
final class Csv {
    private Csv() {}

    static String row(List<String> fields) {
        StringBuilder row = new StringBuilder();
        for (String field : fields) {
            row.append(row.length() == 0 ? "" : ",");
            boolean isPlain = field.indexOf(',') < 0 && field.indexOf('"') < 0;
            row.append(isPlain ? field : '"' + field.replace("\"", "\"\"") + '"');
        }
        return row.toString();
    }

    static List<String> fields(String row) throws BadLog {
        List<String> fields = new ArrayList<>();
        int at = 0;
        do {
            StringBuilder field = new StringBuilder();
            at = at < row.length() && row.charAt(at) == '"' ? quoted(row, at + 1, field) : plain(row, at, field);
            fields.add(field.toString());
            if (at < row.length() && row.charAt(at) != ',') {
                throw new BadLog("a comma is missing after column " + fields.size());
            }
            at++;
        } while (at <= row.length());
        return fields;
    }

    private static int plain(String row, int from, StringBuilder field) {
        int comma = row.indexOf(',', from);
        int end = comma < 0 ? row.length() : comma;
        field.append(row, from, end);
        return end;
    }

    /** From behind the opening quote to behind the closing one. */
    private static int quoted(String row, int from, StringBuilder field) throws BadLog {
        int at = from;
        while (true) {
            int quote = row.indexOf('"', at);
            if (quote < 0) {
                throw new BadLog("a quote is not closed");
            }
            field.append(row, at, quote);
            if (quote + 1 >= row.length() || row.charAt(quote + 1) != '"') {
                return quote + 1;
            }
            field.append('"');
            at = quote + 2;
        }
    }
}
