/** engine */
export {};
