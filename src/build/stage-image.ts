/** The image a stage has come to, step by step. */
import type { HistoryEntry, ImageRecord } from "../image/index.ts";
import type { Digest } from "../lib/index.ts";

export interface StageImage {
  /** undefined: scratch, before its first step. */
  readonly record: ImageRecord | undefined;
}

export const scratch: StageImage = { record: undefined };

export const imageId = (image: StageImage): Digest | undefined => image.record?.id;

/** Layer directories, top first. */
export const lowersOf = (image: StageImage): readonly string[] => image.record?.lowers ?? [];

export const historyOf = (image: StageImage): readonly HistoryEntry[] => image.record?.config.history ?? [];

export const chainIdOf = (image: StageImage): Digest | undefined => image.record?.chainId;
