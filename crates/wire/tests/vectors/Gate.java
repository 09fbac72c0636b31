import java.nio.ByteBuffer;
import java.util.ArrayList;
import java.util.List;
import org.apache.kafka.common.message.ResponseHeaderData;
import org.apache.kafka.common.protocol.ApiKeys;
import org.apache.kafka.common.protocol.ApiMessage;

/**
 * Which side of the gateway an answer is on. The gateway has gate.example:19101 and :19102 for the nodes 1 and 2, and
 * nothing for node 9.
 */
final class Gate {
    /** An answer as a broker writes it, or else as a client must get it. */
    static boolean upstream;

    static int[] nodes(boolean unknown) {
        return upstream && unknown ? new int[] {1, 9, 2} : new int[] {1, 2};
    }

    static String host(int node) {
        return upstream ? "kafka-" + node + ".behind.the.gate" : "gate.example";
    }

    static int port(int node) {
        return upstream ? 9092 + node : 19100 + node;
    }

    static String rack(int node) {
        return node == 1 ? "zone-a" : null;
    }

    interface Maker {
        ApiMessage make(short version);
    }

    /** An answer in every version that this release speaks, as it is on both sides. */
    static List<String> whole(ApiKeys api, int from, Maker maker) {
        List<String> lines = new ArrayList<>();
        for (short version : api.allVersions()) {
            if (version >= from) {
                upstream = true;
                byte[] frame = frame(api, version, maker.make(version));
                upstream = false;
                lines.add(api.id + " " + version + " - " + Hex.of(frame) + " " + Hex.of(frame(api, version, maker.make(version))));
            }
        }
        return lines;
    }

    static byte[] frame(ApiKeys api, short version, ApiMessage body) {
        byte[] head = Hex.bytes(new ResponseHeaderData().setCorrelationId(7), api.responseHeaderVersion(version));
        byte[] message = Hex.bytes(body, version);
        ByteBuffer frame = ByteBuffer.allocate(head.length + message.length);
        return frame.put(head).put(message).array();
    }

    private Gate() {}
}
