/** Base images of a build that are not here yet: pulled with what the client sent along for registries. */
import type { FetchImage } from "../build/index.ts";
import type { AuthConfig } from "../distribution/index.ts";
import { familiarName, parseReference, type PullEvent, withDefaultTag } from "../image/index.ts";
import { PullMessages } from "./api/transfer-messages.ts";
import { pullReference, type Traders } from "./pull-image.ts";

export function fetchForBuild(traders: Traders): FetchImage {
  return async (name, { onMessage, signal, request }) => {
    const reference = withDefaultTag(parseReference(name));
    // Made by registryConfig, of nothing else.
    const auth = request.credentials?.get(reference.domain) as AuthConfig | undefined;
    void onMessage({ status: `Pulling from ${reference.path}`, id: reference.digest ?? reference.tag ?? "" });
    const teller = new PullMessages((message) => void onMessage(message));
    const onProgress = (event: PullEvent): void => teller.tell(event);
    const { digest, upToDate } = await pullReference(traders, reference, { auth, onProgress, signal });
    if (!upToDate) teller.tellHere();
    void onMessage({ status: `Digest: ${digest}` });
    const what = upToDate ? "Image is up to date" : "Downloaded newer image";
    void onMessage({ status: `Status: ${what} for ${familiarName(reference)}` });
  };
}
