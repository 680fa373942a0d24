/** What keeps the layers that a container stands on, whatever becomes of its image. */
export const leaseOf = (id: string): string => `container:${id}`;
