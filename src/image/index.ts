/** image */
export {};
