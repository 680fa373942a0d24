/** build */
export {};
